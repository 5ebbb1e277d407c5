//! What Redis and its driver say, by what the caller can do about it.

use std::time::Duration;

use fred::error::{Error, ErrorKind};
use stockade_change_feed::{Failure, Retry};

/// What went wrong with Redis. Becomes the error of whichever core was asked.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RedisError {
    /// A value is outside what is allowed.
    #[error("{field} is invalid: {reason}; got {value:?}")]
    Invalid {
        /// Which input.
        field: &'static str,
        /// What it was.
        value: String,
        /// What is allowed.
        reason: String,
    },
    /// The servers are set in a way that does not work.
    #[error("Redis has to be set up first: {}", problems.join("; "))]
    Settings {
        /// What is wrong, on which server, and the command that mends it.
        problems: Vec<String>,
    },
    /// Stored data breaks a rule.
    #[error("stored data is damaged: {what}")]
    Damaged {
        /// What was found, and where.
        what: String,
    },
    /// The server did not do what was asked: it could not be reached or is not ready, the answer
    /// to a write was lost, or it refused.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl RedisError {
    /// What the caller may do. All writes of this crate may be repeated: they carry versions,
    /// offsets, tokens or ids.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Failed(failure) => failure.retry(),
            Self::Invalid { .. } | Self::Settings { .. } | Self::Damaged { .. } => Retry::Never,
        }
    }

    pub(crate) fn damaged(what: impl Into<String>) -> Self {
        let what = what.into();
        Self::Damaged { what }
    }
}

/// What becomes of a command whose answer does not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It only reads.
    None,
    /// It writes, and may have done so.
    Write,
}

/// Soon enough that nobody waits long, and not so soon that a server in trouble is hammered.
const SOON: Duration = Duration::from_millis(100);
/// A failover takes seconds, and memory is not free at once.
const LATER: Duration = Duration::from_secs(1);

/// What an error means, before it is known what the command was to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Nothing took effect, and it may work after this long.
    Unavailable(Duration),
    /// As `Unavailable`; the server has become a replica, so a new connection is needed.
    ReadOnly,
    /// As `Unavailable`; the key is on another server, or on its way to it.
    Moving,
    /// The server does not have the script.
    NoScript,
    /// There was no answer.
    Silent,
    /// There was another command's answer.
    Misread,
    /// The key holds something that this crate did not write.
    Damaged,
    /// The user of the connection lacks a right.
    Forbidden,
    /// It fails again until something is changed.
    Refused,
}

impl Class {
    pub(crate) fn of(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::Timeout | ErrorKind::IO | ErrorKind::Canceled | ErrorKind::Tls => {
                Self::Silent
            }
            ErrorKind::Protocol => Self::Misread,
            ErrorKind::Backpressure => Self::Unavailable(SOON),
            ErrorKind::Routing => Self::Moving,
            ErrorKind::Auth => Self::Forbidden,
            ErrorKind::Cluster | ErrorKind::Unknown | ErrorKind::InvalidArgument => {
                Self::of_reply(error.details())
            }
            _ => Self::Refused,
        }
    }

    /// By the first word of the server's reply, or the driver's own sentence.
    fn of_reply(details: &str) -> Self {
        let code = details.split_whitespace().next().unwrap_or_default();
        match code {
            "LOADING" | "BUSY" | "TRYAGAIN" => Self::Unavailable(SOON),
            "CLUSTERDOWN" | "MASTERDOWN" | "NOREPLICAS" | "OOM" | "MISCONF" => {
                Self::Unavailable(LATER)
            }
            "READONLY" => Self::ReadOnly,
            "MOVED" | "ASK" => Self::Moving,
            "NOSCRIPT" => Self::NoScript,
            "WRONGTYPE" => Self::Damaged,
            "NOAUTH" | "WRONGPASS" | "NOPERM" => Self::Forbidden,
            _ if details.starts_with("ERR max number of clients") => Self::Unavailable(SOON),
            // The driver knows no server of the slot.
            _ if details.starts_with("Missing server") => Self::Unavailable(LATER),
            // The driver has been stopped, or not started; nothing was sent.
            _ if details.starts_with("Failed to send command") => Self::Unavailable(LATER),
            _ if details.starts_with("Client is not initialized") => Self::Unavailable(LATER),
            // After a connection broke under the command, as often as the driver tries.
            _ if details.starts_with("Too many failed write attempts") => Self::Silent,
            _ if details.starts_with("Failed to route command") => Self::Unavailable(SOON),
            // The driver's task has ended.
            _ if details.starts_with("channel closed") => Self::Unavailable(LATER),
            _ => Self::Refused,
        }
    }
}

/// Reads the driver's error of a command.
pub(crate) fn failed(operation: &'static str, effect: Effect, error: Error) -> RedisError {
    let failure = match Class::of(&error) {
        Class::Unavailable(pause) => Failure::unavailable(operation, pause, error),
        Class::ReadOnly => Failure::unavailable(operation, LATER, error),
        Class::Moving | Class::NoScript => Failure::unavailable(operation, SOON, error),
        Class::Silent | Class::Misread => match effect {
            Effect::None => Failure::unavailable(operation, SOON, error),
            Effect::Write => Failure::outcome_unknown(operation, error),
        },
        Class::Damaged => return RedisError::damaged(format!("{operation}: {error}")),
        Class::Forbidden => Failure::refused(operation, Forbidden(error)),
        Class::Refused => Failure::refused(operation, error),
    };
    failure.into()
}

/// The server does not let this user do it.
#[derive(Debug, thiserror::Error)]
#[error("{0}; check the password, and the user's rights by ACL GETUSER")]
struct Forbidden(#[source] Error);

/// The variants that the cores' errors have as well.
#[cfg(any(feature = "cache", feature = "timer"))]
macro_rules! into_core {
    ($core:ty) => {
        impl From<RedisError> for $core {
            fn from(error: RedisError) -> Self {
                match error {
                    RedisError::Failed(failure) => Self::Failed(failure),
                    RedisError::Invalid {
                        field,
                        value,
                        reason,
                    } => Self::invalid(field, &value, reason),
                    RedisError::Damaged { what } => Self::Damaged { what },
                    RedisError::Settings { .. } => {
                        Self::Failed(Failure::refused("check the settings of Redis", error))
                    }
                }
            }
        }
    };
}

#[cfg(feature = "cache")]
into_core! { stockade_catalog_core::CatalogError }
#[cfg(feature = "timer")]
into_core! { stockade_inventory_core::InventoryError }

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(details: &'static str) -> Error {
        let kind = match details.split_whitespace().next() {
            Some("MOVED" | "ASK" | "CLUSTERDOWN") => ErrorKind::Cluster,
            Some("NOAUTH" | "WRONGPASS") => ErrorKind::Auth,
            Some("WRONGTYPE") => ErrorKind::InvalidArgument,
            _ => ErrorKind::Unknown,
        };
        Error::new(kind, details)
    }

    #[test]
    fn a_lost_answer_is_unknown_only_for_a_write() {
        for kind in [ErrorKind::Timeout, ErrorKind::IO, ErrorKind::Canceled] {
            let lost = || Error::new(kind.clone(), "Connection closed.");
            let error = failed("read", Effect::None, lost());
            assert!(matches!(error.retry(), Retry::After(_)), "{error}");
            let error = failed("write", Effect::Write, lost());
            assert_eq!(error.retry(), Retry::OutcomeUnknown, "{error}");
        }
    }

    #[test]
    fn every_reply_has_its_retry() {
        for (details, expected) in [
            ("LOADING Redis is loading the dataset in memory", "after"),
            (
                "READONLY You can't write against a read only replica.",
                "after",
            ),
            (
                "OOM command not allowed when used memory > 'maxmemory'.",
                "after",
            ),
            ("CLUSTERDOWN The cluster is down", "after"),
            (
                "TRYAGAIN Multiple keys request during rehashing of slot",
                "after",
            ),
            ("MOVED 3999 127.0.0.1:6381", "after"),
            ("NOSCRIPT No matching script. Please use EVAL.", "after"),
            ("BUSY Redis is busy running a script.", "after"),
            ("MISCONF Redis is configured to save RDB snapshots", "after"),
            ("ERR max number of clients reached", "after"),
            ("WRONGTYPE Operation against a key", "damaged"),
            ("NOPERM this user has no permissions", "never"),
            ("NOAUTH Authentication required.", "never"),
            ("ERR unknown command 'EVALSHA'", "never"),
        ] {
            let error = failed("write", Effect::Write, reply(details));
            let got = match (&error, error.retry()) {
                (RedisError::Damaged { .. }, _) => "damaged",
                (_, Retry::After(_)) => "after",
                (_, Retry::Never) => "never",
                _ => "unknown",
            };
            assert_eq!(got, expected, "{details}");
            assert!(error.to_string().contains(details), "{error}");
        }
    }
}
