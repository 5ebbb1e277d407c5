//! What Kafka and the way to it say, by what the caller can do about it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use kafka_protocol::ResponseError;
use stockade_change_feed::{Failure, FeedError};

/// Why Kafka did not do what was asked.
///
/// It is the source of the [`FeedError`] that a caller gets, for those who look deeper.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KafkaError {
    /// No connection could be made. Nothing was sent.
    #[error("{address} can not be reached: {source}")]
    Unreachable {
        /// Host and port, or all of them that were tried.
        address: String,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// TLS fails, because one side does not trust the other or speaks none.
    #[error("TLS with {address} fails: {reason}")]
    Untrusted {
        /// Host and port.
        address: String,
        /// Which rule of TLS is broken.
        reason: String,
    },
    /// The token source has no token for now.
    #[error("there is no token to connect with: {0}")]
    NoToken(String),
    /// The broker refuses the credentials, or does not offer the mechanism.
    #[error("{address} does not accept the credentials: {reason}")]
    Unauthenticated {
        /// Host and port.
        address: String,
        /// What it said.
        reason: String,
    },
    /// The connection ended after a request was sent and before its reply.
    #[error("the connection to {address} ended before it had answered {api}: {source}")]
    Lost {
        /// Which request.
        api: &'static str,
        /// Host and port.
        address: String,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// There was no answer in time.
    #[error("{address} did not answer {api} within {after:?}")]
    NoAnswer {
        /// Which request.
        api: &'static str,
        /// Host and port.
        address: String,
        /// How long was waited.
        after: Duration,
    },
    /// The broker answered with an error.
    #[error("Kafka refused {api} with error {code} ({}){}", name(*.code), detail(.message))]
    Refused {
        /// Which request.
        api: &'static str,
        /// Kafka's number of the error.
        code: i16,
        /// What the broker added.
        message: Option<String>,
    },
    /// The broker does not speak a version of the request that this client knows.
    #[error("{address} does not offer {api} in the versions {oldest} to {newest}")]
    Unsupported {
        /// Which request.
        api: &'static str,
        /// Host and port.
        address: String,
        /// The oldest that this client knows.
        oldest: i16,
        /// The newest that this client knows.
        newest: i16,
    },
    /// Bytes from the broker can not be read.
    #[error("malformed {what}: {reason}")]
    Malformed {
        /// What they should have been.
        what: String,
        /// What is wrong with them.
        reason: String,
    },
}

fn name(code: i16) -> String {
    ResponseError::try_from_code(code).map_or_else(|| "None".to_owned(), |error| error.to_string())
}

fn detail(message: &Option<String>) -> String {
    let text = message.as_deref().filter(|text| !text.is_empty());
    text.map_or_else(String::new, |text| format!(": {text}"))
}

/// Whether an operation whose reply is missing may have changed something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It only reads, or the same again changes nothing.
    None,
    /// Who knows.
    Possible,
}

/// Soon enough that nobody waits long, and not so soon that a broker in trouble is hammered.
const SOON: Duration = Duration::from_millis(100);

impl KafkaError {
    pub(crate) fn refused(api: &'static str, code: i16) -> Self {
        let message = None;
        Self::Refused { api, code, message }
    }

    pub(crate) fn malformed(what: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Malformed {
            what: what.into(),
            reason: reason.into(),
        }
    }

    /// Kafka's error, where it answered with one.
    pub(crate) fn response(&self) -> Option<ResponseError> {
        match self {
            Self::Refused { code, .. } => ResponseError::try_from_code(*code),
            _ => None,
        }
    }

    /// Whether the same may succeed later without anybody's doing.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. }
            | Self::Lost { .. }
            | Self::NoAnswer { .. }
            | Self::NoToken(_) => true,
            Self::Refused { .. } => self.response().is_some_and(passes),
            Self::Untrusted { .. }
            | Self::Unauthenticated { .. }
            | Self::Unsupported { .. }
            | Self::Malformed { .. } => false,
        }
    }

    /// Whether it may have taken effect.
    fn is_unknown(&self) -> bool {
        matches!(self, Self::Lost { .. } | Self::NoAnswer { .. })
            || self.response() == Some(ResponseError::RequestTimedOut)
    }

    /// The error that the caller of `operation` gets.
    pub(crate) fn during(self, operation: &'static str, effect: Effect) -> FeedError {
        let unknown = effect == Effect::Possible && self.is_unknown();
        let transient = self.is_transient();
        let failure = if unknown {
            Failure::outcome_unknown(operation, self)
        } else if transient {
            Failure::unavailable(operation, SOON, self)
        } else {
            Failure::refused(operation, self)
        };
        failure.into()
    }
}

/// Kafka's own list, and what ends with a rebalance, an election or more replicas.
fn passes(error: ResponseError) -> bool {
    let listed = error.is_retriable() && error != ResponseError::CorruptMessage;
    listed
        || matches!(
            error,
            ResponseError::BrokerNotAvailable
                | ResponseError::RebalanceInProgress
                | ResponseError::StaleMemberEpoch
                | ResponseError::NetworkException
        )
}

/// What the broker answered, as a result.
pub(crate) fn check(api: &'static str, code: i16) -> Result<(), KafkaError> {
    match code {
        0 => Ok(()),
        code => Err(KafkaError::refused(api, code)),
    }
}

#[cfg(test)]
mod tests {
    use stockade_change_feed::Retry;

    use super::*;

    fn lost() -> KafkaError {
        KafkaError::Lost {
            api: "Produce",
            address: "kafka:9092".to_owned(),
            source: Arc::new(io::ErrorKind::ConnectionReset.into()),
        }
    }

    #[test]
    fn a_missing_reply_is_unknown_only_where_it_may_have_changed_something() {
        let retry = |effect| lost().during("publish", effect).retry();
        assert_eq!(retry(Effect::Possible), Retry::OutcomeUnknown);
        assert!(matches!(retry(Effect::None), Retry::After(_)));
    }

    #[test]
    fn an_error_names_the_code_and_what_the_broker_said() {
        let error = KafkaError::Refused {
            api: "CreateTopics",
            code: 44,
            message: Some("at least 2 replicas".to_owned()),
        };
        let text = error.to_string();
        assert!(
            text.contains("44 (PolicyViolation): at least 2 replicas"),
            "{text}"
        );
        assert_eq!(
            error.during("create topic", Effect::None).retry(),
            Retry::Never
        );
    }

    #[test]
    fn a_wrong_password_is_not_tried_again() {
        let error = KafkaError::Unauthenticated {
            address: "kafka:9092".to_owned(),
            reason: "invalid credentials".to_owned(),
        };
        assert!(!error.is_transient());
    }
}
