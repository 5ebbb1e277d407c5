//! The error of this crate: the errors of Postgres and its driver, by what the caller can do.

use std::sync::Arc;
use std::time::Duration;

#[cfg(feature = "catalog")]
use stockade_catalog_core::CatalogError;
use stockade_change_feed::{Failure, FeedError, Retry};
#[cfg(feature = "inventory")]
use stockade_inventory_core::InventoryError;

/// An error of Postgres. It is converted to the error of the core crate whose trait was called.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PostgresError {
    /// A value is not allowed.
    #[error("{field} is invalid: {reason}; got {value:?}")]
    Invalid {
        /// The name of the input.
        field: &'static str,
        /// Its value.
        value: String,
        /// What is allowed.
        reason: String,
    },
    /// Another transaction held a lock for longer than the lock timeout. Nothing took effect, and
    /// the host's transaction is unchanged.
    #[error("{operation} {}", waited(*.after, .source))]
    Locked {
        /// The name of the operation.
        operation: &'static str,
        /// How long the call waited; `None` for the `lock_timeout` of the host's transaction.
        after: Option<Duration>,
        /// The driver's error.
        source: Arc<sqlx::Error>,
    },
    /// Stored data breaks a rule.
    #[error("stored data is damaged: {what}")]
    Damaged {
        /// What was found, and in which row.
        what: String,
    },
    /// The server did not do what was asked: it was not reached, could not write, refused, rolled
    /// the transaction back because of a concurrent one, or its reply to a commit was lost.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl PostgresError {
    /// Whether the transaction was rolled back because of a concurrent one, and may be repeated.
    pub(crate) fn is_lost(&self) -> bool {
        self.retry() == Retry::RestartTransaction
    }

    /// Whether the server refuses the statement because of its content.
    #[cfg(feature = "catalog")]
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, Self::Failed(failure) if failure.retry() == Retry::Never)
    }

    /// Whether other connections are probably of no use either: one broke or did not answer, or the
    /// server accepts no writes any more. A server that only took too long for a statement would get
    /// more work if all connections were made again.
    pub(crate) fn breaks_connections(&self) -> bool {
        let Self::Failed(failure) = self else {
            return false;
        };
        let source = std::error::Error::source(failure).and_then(|source| source.downcast_ref());
        match (failure.retry(), source) {
            (Retry::OutcomeUnknown, _) => true,
            // A pool tests idle connections, and waits for one that is silent.
            (Retry::After(_), Some(sqlx::Error::PoolTimedOut)) => true,
            (Retry::After(_), Some(error)) => {
                matches!(Class::of(error), Class::ConnectionLost | Class::ReadOnly)
            }
            (Retry::After(_), None) => true,
            _ => false,
        }
    }

    /// What the caller may do.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Failed(failure) => failure.retry(),
            Self::Locked { .. } => Retry::After(SOON),
            Self::Invalid { .. } | Self::Damaged { .. } => Retry::Never,
        }
    }
}

fn waited(after: Option<Duration>, source: &sqlx::Error) -> String {
    let long = match after {
        Some(after) => format!("{after:?}"),
        None => "the transaction's lock_timeout".to_owned(),
    };
    format!(
        "waited {long} for a lock that another transaction still holds, such as an open one of \
         the host; find it with pg_locks and pg_blocking_pids(): {source}"
    )
}

/// The effect of a statement when its connection is lost before the reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InFlight {
    /// It only reads, or its transaction is rolled back: nothing took effect.
    Undone,
    /// It commits: it may have taken effect.
    Commit,
}

/// Short enough for the caller, and long enough for a server in trouble.
const SOON: Duration = Duration::from_millis(100);
/// A failover takes seconds.
const FAILOVER: Duration = Duration::from_millis(500);

/// Converts the driver's errors, for statements that have no effect when the connection is lost.
pub(crate) fn failed(operation: &'static str) -> impl Fn(sqlx::Error) -> PostgresError + Copy {
    move |error| classify(operation, InFlight::Undone, error)
}

/// Converts the driver's errors for statements that commit: COMMIT, or a statement outside a
/// transaction.
pub(crate) fn committing(operation: &'static str) -> impl Fn(sqlx::Error) -> PostgresError + Copy {
    move |error| classify(operation, InFlight::Commit, error)
}

/// The constraint that the statement violated, if that is the error.
pub(crate) fn violated(error: &sqlx::Error) -> Option<&str> {
    error.as_database_error()?.constraint()
}

/// The error for a server that could not be connected to.
pub(crate) fn unreached(address: String, error: sqlx::Error) -> PostgresError {
    let class = Class::of(&error);
    let error = Unreached { address, error };
    class.because("connect", InFlight::Undone, error)
}

pub(crate) fn classify(
    operation: &'static str,
    in_flight: InFlight,
    error: sqlx::Error,
) -> PostgresError {
    match Class::of(&error) {
        Class::Locked => PostgresError::Locked {
            operation,
            after: None,
            source: Arc::new(error),
        },
        class => class.because(operation, in_flight, error),
    }
}

enum Class {
    /// Nothing took effect, and a retry may succeed.
    Unavailable,
    /// This server accepts no writes: it is not the primary any more.
    ReadOnly,
    ConnectionLost,
    Unknown,
    Locked,
    Lost,
    Damaged,
    NoTables,
    Other,
}

impl Class {
    /// The error for this reason.
    fn because<E>(self, operation: &'static str, in_flight: InFlight, error: E) -> PostgresError
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        let failure = match (self, in_flight) {
            (Self::ReadOnly, _) => Failure::unavailable(operation, FAILOVER, error),
            (Self::Unavailable | Self::Locked, _) | (Self::ConnectionLost, InFlight::Undone) => {
                Failure::unavailable(operation, SOON, error)
            }
            (Self::ConnectionLost, InFlight::Commit) | (Self::Unknown, _) => {
                Failure::outcome_unknown(operation, error)
            }
            (Self::Lost, _) => Failure::transaction_lost(operation, error),
            (Self::Damaged, _) => {
                let what = format!("{operation}: {error}");
                return PostgresError::Damaged { what };
            }
            (Self::NoTables, _) => Failure::refused(operation, Hinted(error)),
            (Self::Other, _) => Failure::refused(operation, error),
        };
        failure.into()
    }

    fn of(error: &sqlx::Error) -> Self {
        match error {
            sqlx::Error::Database(error) => Self::of_sqlstate(error.code().as_deref()),
            sqlx::Error::PoolTimedOut => Self::Unavailable,
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::BeginFailed
            | sqlx::Error::WorkerCrashed => Self::ConnectionLost,
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => Self::Damaged,
            _ => Self::Other,
        }
    }

    /// The class of an SQLSTATE, see
    /// <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
    fn of_sqlstate(code: Option<&str>) -> Self {
        match code.unwrap_or_default() {
            // statement_completion_unknown, transaction_resolution_unknown
            "40003" | "08007" => Self::Unknown,
            // lock_not_available
            "55P03" => Self::Locked,
            // in_failed_sql_transaction, whose cause came before. What is unique is looked up
            // before it is written, so who finds it taken (23505) raced.
            "25P02" | "23505" => Self::Lost,
            // query_canceled, as by statement_timeout; cannot_connect_now
            "57014" | "57P03" => Self::Unavailable,
            // read_only_sql_transaction
            "25006" => Self::ReadOnly,
            // admin_shutdown, crash_shutdown, database_dropped, idle_session_timeout
            "57P01" | "57P02" | "57P04" | "57P05" => Self::ConnectionLost,
            // The column, table or schema is not there.
            "42703" | "42P01" | "3F000" => Self::NoTables,
            // idle_in_transaction_session_timeout, transaction_timeout: the session is ended.
            "25P03" | "25P04" => Self::ConnectionLost,
            code => match code.get(..2) {
                Some("08") => Self::ConnectionLost,
                Some("40") => Self::Lost,
                // Out of connections, memory or disk.
                Some("53") => Self::Unavailable,
                // A constraint of ours, or a page that can't be read.
                Some("23" | "XX") => Self::Damaged,
                _ => Self::Other,
            },
        }
    }
}

/// A table, column or schema in a statement does not exist in the database.
#[derive(Debug, thiserror::Error)]
#[error("{0}; run the migrations of this component in this schema first")]
struct Hinted<E: std::error::Error + 'static>(#[source] E);

/// The address of a server, and why the connection failed.
#[derive(Debug, thiserror::Error)]
#[error("{address}: {error}")]
struct Unreached {
    address: String,
    #[source]
    error: sqlx::Error,
}

/// Converts the variants that the cores' errors have too.
macro_rules! into_core {
    ($core:ident, $damaged:expr) => {
        impl From<PostgresError> for $core {
            fn from(error: PostgresError) -> Self {
                match error {
                    PostgresError::Failed(failure) => Self::Failed(failure),
                    PostgresError::Locked {
                        operation,
                        after,
                        source,
                    } => {
                        let waited = waited(after, &source);
                        Self::Failed(Failure::unavailable(operation, SOON, waited))
                    }
                    PostgresError::Invalid {
                        field,
                        value,
                        reason,
                    } => Self::invalid(field, &value, reason),
                    PostgresError::Damaged { what } => $damaged(what),
                }
            }
        }
    };
}

#[cfg(feature = "inventory")]
into_core! { InventoryError, |what| Self::Damaged { what } }
#[cfg(feature = "catalog")]
into_core! { CatalogError, |what| Self::Damaged { what } }
into_core! { FeedError, |what: String| {
    Self::Failed(Failure::refused("read", format!("stored data is damaged: {what}")))
} }

#[cfg(test)]
mod tests {
    use super::*;

    fn lost() -> sqlx::Error {
        std::io::Error::from(std::io::ErrorKind::ConnectionReset).into()
    }

    #[test]
    fn a_lost_connection_is_unknown_only_where_it_may_have_committed() {
        let error = failed("reserve")(lost());
        assert!(matches!(error.retry(), Retry::After(_)), "{error}");
        let error = committing("reserve")(lost());
        assert_eq!(error.retry(), Retry::OutcomeUnknown, "{error}");
    }

    #[test]
    fn a_full_pool_sent_nothing() {
        let error = committing("reserve")(sqlx::Error::PoolTimedOut);
        assert!(matches!(error.retry(), Retry::After(_)), "{error}");
    }

    #[test]
    fn every_sqlstate_has_its_retry() {
        let retry = |code| match Class::of_sqlstate(Some(code)) {
            Class::Unavailable | Class::ReadOnly | Class::Locked => "after",
            Class::ConnectionLost => "connection",
            Class::Unknown => "unknown",
            Class::Lost => "restart",
            Class::Damaged => "damaged",
            Class::NoTables | Class::Other => "never",
        };
        let expected = [
            ("40001", "restart"),
            ("40P01", "restart"),
            ("40003", "unknown"),
            ("55P03", "after"),
            ("23505", "restart"),
            ("23514", "damaged"),
            ("25006", "after"),
            ("57014", "after"),
            ("25P03", "connection"),
            ("25P04", "connection"),
            ("57P01", "connection"),
            ("57P03", "after"),
            ("53300", "after"),
            ("08006", "connection"),
            ("42P01", "never"),
            ("42501", "never"),
            ("", "never"),
        ];
        for (code, wanted) in expected {
            assert_eq!(retry(code), wanted, "SQLSTATE {code}");
        }
    }
}
