//! A backend did not do what was asked: which operation, what the caller may do, and the driver's
//! error. Part of the errors of all crates.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

type BoxError = Box<dyn StdError + Send + Sync>;

/// What a caller may do after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The same call fails in the same way until something is changed.
    Never,
    /// Nothing took effect. The same call may succeed after this pause.
    After(Duration),
    /// Nothing took effect, and the surrounding transaction was rolled back: begin it again.
    RestartTransaction,
    /// It may have taken effect. To find out, repeat the same call with the same id.
    OutcomeUnknown,
}

/// A backend did not do an operation, for a reason of the backend or of the connection to it.
///
/// The errors of all crates contain this type, so one `match` on [`Failure::retry`] handles all of
/// them.
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
    /// The backend could not be reached or had no room. Nothing took effect. The same call may
    /// succeed after `retry_after`.
    pub fn unavailable(
        operation: &'static str,
        retry_after: Duration,
        source: impl Into<BoxError>,
    ) -> Self {
        Self::new(operation, Retry::After(retry_after), source)
    }

    /// No answer came within the deadline `after`. The operation may have taken effect.
    #[must_use]
    pub fn timed_out(operation: &'static str, after: Duration) -> Self {
        Self::outcome_unknown(operation, format!("no answer within {after:?}"))
    }

    /// The request was sent, and its reply was lost. The operation may have taken effect.
    pub fn outcome_unknown(operation: &'static str, source: impl Into<BoxError>) -> Self {
        Self::new(operation, Retry::OutcomeUnknown, source)
    }

    /// The surrounding transaction was rolled back because of a concurrent one. Nothing took
    /// effect.
    pub fn transaction_lost(operation: &'static str, source: impl Into<BoxError>) -> Self {
        Self::new(operation, Retry::RestartTransaction, source)
    }

    /// The backend or its driver refused. The same call fails again until something is changed
    /// there.
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

    /// The name of the operation.
    #[must_use]
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// What the caller may do.
    #[must_use]
    pub fn retry(&self) -> Retry {
        self.retry
    }

    /// What the failure means for the caller, as a label of metrics: `failed`, `unavailable`,
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

    /// Returns the failure with another meaning for the caller, such as
    /// [`Retry::RestartTransaction`] for a surrounding transaction.
    #[must_use]
    pub fn with_retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }

    /// Returns the failure with the name of the larger operation that it is part of.
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
                "{operation} was rolled back because of a concurrent transaction, begin it again: \
                 {source}"
            ),
            Retry::OutcomeUnknown => write!(
                f,
                "{operation} may have taken effect, repeat it with the same id to find out: \
                 {source}"
            ),
        }
    }
}

impl StdError for Failure {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(self.source.as_ref())
    }
}

/// An error that may contain a [`Failure`]: what generic code such as
/// [`Deadline`](crate::time::Deadline) needs to know about an error.
pub trait Failing: From<Failure> + Clone + Send + Sync {
    /// What the caller may do.
    fn retry(&self) -> Retry;

    /// Whether the error is a decision on the request, such as a conflict or refused input, rather
    /// than a failure before a decision was made.
    fn is_decision(&self) -> bool;
}
