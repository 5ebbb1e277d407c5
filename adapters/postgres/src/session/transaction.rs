//! A transaction of this crate, or a savepoint in the host's.

use std::fmt;

use sqlx::PgConnection;
use stockade_change_feed::Retry;

use super::connection::Connection;
use super::is_unavailable;
use crate::error::{PostgresError, committing, failed};

/// A transaction of this crate, or a savepoint in the host's transaction.
///
/// When it is dropped before its end, its connection is closed, because its state is unknown: after
/// a BEGIN whose answer was not awaited, the driver would give the open transaction to the next
/// caller. In the host's transaction a savepoint is left, which changes nothing.
pub struct Transaction<'a> {
    operation: &'static str,
    connection: Connection<'a>,
}

impl<'a> Transaction<'a> {
    /// Begins with this SQL.
    pub(super) async fn begin(
        operation: &'static str,
        mut connection: Connection<'a>,
        sql: sqlx::SqlStr,
    ) -> Result<Self, PostgresError> {
        connection.close(true);
        let mut transaction = Self {
            operation,
            connection,
        };
        let begun = sqlx::raw_sql(sql).execute(transaction.connection()).await;
        match begun.map_err(failed(operation)) {
            Ok(_) => Ok(transaction),
            Err(error) if transaction.connection.is_of_host() => Err(of_host(error)),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn connection(&mut self) -> &mut PgConnection {
        &mut self.connection
    }

    /// Commits a success and rolls back a failure, and returns which of them it was.
    pub(crate) async fn end<T>(
        self,
        outcome: Result<T, PostgresError>,
    ) -> Result<T, PostgresError> {
        match outcome {
            Ok(done) => self.commit().await.map(|()| done),
            Err(error) => Err(self.undo(error).await),
        }
    }

    async fn commit(mut self) -> Result<(), PostgresError> {
        let in_host = self.connection.is_of_host();
        let sql = match in_host {
            false => "COMMIT",
            true => "RELEASE SAVEPOINT stockade",
        };
        let committed = sqlx::raw_sql(sql).execute(self.connection()).await;
        match committed.map_err(committing(self.operation)) {
            Ok(_) => {
                self.connection.close(false);
                Ok(())
            }
            Err(error) if in_host => Err(of_host(error)),
            Err(error) => Err(error),
        }
    }

    /// Rolls back because of an error, and returns the error for the caller.
    async fn undo(mut self, error: PostgresError) -> PostgresError {
        let in_host = self.connection.is_of_host();
        let sql = match in_host {
            false => "ROLLBACK",
            true => "ROLLBACK TO SAVEPOINT stockade; RELEASE SAVEPOINT stockade",
        };
        // A server that can't be reached, or can't write any more, is not asked again.
        if !in_host && is_unavailable(&error) {
            return error;
        }
        match sqlx::raw_sql(sql).execute(self.connection()).await {
            Ok(_) => {
                self.connection.close(false);
                error
            }
            Err(_) if in_host => of_host(error),
            Err(_) => error,
        }
    }
}

impl fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction")
            .field("operation", &self.operation)
            .finish_non_exhaustive()
    }
}

/// The error for a host whose whole transaction was rolled back.
fn of_host(error: PostgresError) -> PostgresError {
    match error {
        PostgresError::Failed(failure) if failure.retry() != Retry::Never => {
            failure.with_retry(Retry::RestartTransaction).into()
        }
        error => error,
    }
}
