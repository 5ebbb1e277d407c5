//! What every error says about a backend that did not do what was asked: which operation, what the
//! caller may do about it, and the driver's own words.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

type BoxError = Box<dyn StdError + Send + Sync>;

/// What a caller may do after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The same call fails the same way: something has to change first.
    Never,
    /// Nothing took effect. The same call may succeed, after this long.
    After(Duration),
    /// Nothing took effect, and the surrounding transaction is lost: begin it again.
    RestartTransaction,
    /// It may have taken effect. Only the same call with the same id tells.
    OutcomeUnknown,
}

/// An operation that a backend did not do, for a reason of the backend or of the way to it.
///
/// It is the same part of the error of every crate, so that one `match` on [`Failure::retry`]
/// handles all of them.
///
/// ```
/// use std::time::Duration;
/// use stockade_change_feed::{Failure, FeedError, Retry};
///
/// let error = FeedError::from(Failure::unavailable(
///     "publish",
///     Duration::from_millis(100),
///     "connection refused",
/// ));
/// assert_eq!(error.retry(), Retry::After(Duration::from_millis(100)));
/// assert!(error.to_string().contains("connection refused"));
/// ```
#[derive(Clone, Debug)]
pub struct Failure {
    operation: &'static str,
    retry: Retry,
    source: Arc<dyn StdError + Send + Sync>,
}

impl Failure {
    /// The backend could not be reached or had no room: nothing took effect. The same call may
    /// succeed after `retry_after`.
    pub fn unavailable(
        operation: &'static str,
        retry_after: Duration,
        source: impl Into<BoxError>,
    ) -> Self {
        Self::new(operation, Retry::After(retry_after), source)
    }

    /// There was no answer within the deadline `after`: it may have taken effect.
    #[must_use]
    pub fn timed_out(operation: &'static str, after: Duration) -> Self {
        Self::outcome_unknown(operation, format!("no answer within {after:?}"))
    }

    /// The request was sent and its reply lost: it may have taken effect.
    pub fn outcome_unknown(operation: &'static str, source: impl Into<BoxError>) -> Self {
        Self::new(operation, Retry::OutcomeUnknown, source)
    }

    /// The surrounding transaction lost against a concurrent one: nothing took effect.
    pub fn transaction_lost(operation: &'static str, source: impl Into<BoxError>) -> Self {
        Self::new(operation, Retry::RestartTransaction, source)
    }

    /// The backend or its driver refused for a reason of its own: the same call fails again until
    /// something is changed there.
    pub fn refused(operation: &'static str, source: impl Into<BoxError>) -> Self {
        Self::new(operation, Retry::Never, source)
    }

    fn new(operation: &'static str, retry: Retry, source: impl Into<BoxError>) -> Self {
        Self {
            operation,
            retry,
            source: Arc::from(source.into()),
        }
    }

    /// What was being done.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// What the caller may do.
    #[must_use]
    pub fn retry(&self) -> Retry {
        self.retry
    }

    /// What it means for the caller in a word, as a label of metrics: `failed`, `unavailable`,
    /// `transaction_lost` or `outcome_unknown`.
    #[must_use]
    pub fn outcome(&self) -> &'static str {
        match self.retry {
            Retry::Never => "failed",
            Retry::After(_) => "unavailable",
            Retry::RestartTransaction => "transaction_lost",
            Retry::OutcomeUnknown => "outcome_unknown",
        }
    }

    /// The same failure where it means something else to the caller, such as the loss of a
    /// surrounding transaction.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// The same failure, as part of a larger operation.
    #[must_use]
    pub fn during(mut self, operation: &'static str) -> Self {
        self.operation = operation;
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            operation,
            retry,
            source,
        } = self;
        match retry {
            Retry::Never => write!(f, "{operation} failed: {source}"),
            Retry::After(pause) => {
                write!(
                    f,
                    "{operation} is unavailable, retry after {pause:?}: {source}"
                )
            }
            Retry::RestartTransaction => write!(
                f,
                "{operation} lost against a concurrent transaction, begin it again: {source}"
            ),
            Retry::OutcomeUnknown => write!(
                f,
                "{operation} may have taken effect, repeat it with the same id: {source}"
            ),
        }
    }
}

impl StdError for Failure {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(self.source.as_ref())
    }
}

/// An error that carries a [`Failure`] where a backend is to blame: what generic code such as
/// [`Deadline`](crate::time::Deadline) needs to know of an error.
pub trait Failing: From<Failure> + Clone + Send + Sync {
    /// What the caller may do.
    fn retry(&self) -> Retry;

    /// Whether it is a decision on the request, such as a conflict or a refusal of bad input,
    /// rather than a failure on the way to one.
    fn is_decision(&self) -> bool;
}
