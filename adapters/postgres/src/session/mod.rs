//! Where statements run: on connections of a pool, or inside the host's transaction.

mod connection;
mod timeouts;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::pool::PoolConnection;
use sqlx::{AssertSqlSafe, PgConnection, PgPool, Postgres, SqlSafeStr, SqlStr};
use stockade_change_feed::{Failure, Retry};
use tokio::sync::Mutex;
use tokio::time::timeout;
use tracing::Instrument as _;

pub(crate) use self::connection::Connection;
pub use self::timeouts::Timeouts;
use crate::error::{PostgresError, committing, failed};

/// Where statements run. Only this crate implements it.
#[async_trait]
pub trait Sessions: Send + Sync {
    /// A connection for statements that only read.
    #[doc(hidden)]
    async fn connection(&self, operation: &'static str) -> Result<Connection<'_>, PostgresError>;

    /// A transaction of this crate, or a savepoint in the host's.
    #[doc(hidden)]
    async fn begin(&self, operation: &'static str) -> Result<Transaction<'_>, PostgresError>;

    /// The pool; none inside a transaction of the host, which has its own timeouts.
    #[doc(hidden)]
    fn pooled(&self) -> Option<&Pooled>;
}

/// Statements run on connections of a pool, in transactions of this crate.
#[derive(Clone, Debug)]
pub struct Pooled {
    pub(crate) pool: PgPool,
    pub(crate) timeouts: Timeouts,
}

/// Statements run inside a transaction of the host.
pub struct Within<'c>(pub(crate) Mutex<&'c mut PgConnection>);

#[async_trait]
impl Sessions for Pooled {
    async fn connection(&self, operation: &'static str) -> Result<Connection<'_>, PostgresError> {
        self.acquire(operation).await.map(Connection::pooled)
    }

    async fn begin(&self, operation: &'static str) -> Result<Transaction<'_>, PostgresError> {
        let connection = self.connection(operation).await?;
        let lock = self.timeouts.lock.as_millis();
        let statement = self.timeouts.statement.as_millis();
        // A plan may be made while a table is still empty, and every statement has an index, so
        // sequential scans are disabled.
        let begin = format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL enable_seqscan = off; \
             SET LOCAL lock_timeout = {lock}; SET LOCAL statement_timeout = {statement}"
        );
        Transaction::begin(operation, connection, AssertSqlSafe(begin).into_sql_str()).await
    }

    fn pooled(&self) -> Option<&Pooled> {
        Some(self)
    }
}

#[async_trait]
impl Sessions for Within<'_> {
    async fn connection(&self, _: &'static str) -> Result<Connection<'_>, PostgresError> {
        Ok(Connection::of_host(&self.0).await)
    }

    async fn begin(&self, operation: &'static str) -> Result<Transaction<'_>, PostgresError> {
        let connection = Connection::of_host(&self.0).await;
        Transaction::begin(operation, connection, "SAVEPOINT stockade".into_sql_str()).await
    }

    fn pooled(&self) -> Option<&Pooled> {
        None
    }
}

impl Pooled {
    pub(crate) fn new(pool: PgPool) -> Self {
        let timeouts = Timeouts::default();
        Self { pool, timeouts }
    }

    async fn acquire(
        &self,
        operation: &'static str,
    ) -> Result<PoolConnection<Postgres>, PostgresError> {
        let acquired = timeout(self.timeouts.acquire, self.pool.acquire()).await;
        let acquired = acquired.unwrap_or(Err(sqlx::Error::PoolTimedOut));
        acquired.map_err(failed(operation))
    }

    /// A connection that is removed from the pool.
    pub(crate) async fn detached(
        &self,
        operation: &'static str,
    ) -> Result<PgConnection, PostgresError> {
        self.acquire(operation).await.map(PoolConnection::detach)
    }

    /// Runs a statement that is its own transaction, within the timeout. If the server does not
    /// accept writes, as after a failover, the connection is closed, so that the pool connects to
    /// the new primary.
    pub(crate) async fn ask<T>(
        &self,
        operation: &'static str,
        ask: impl AsyncFnOnce(&mut PgConnection) -> Result<T, PostgresError>,
    ) -> Result<T, PostgresError> {
        let asking = async {
            let mut connection = self.connection(operation).await?;
            let answer = ask(&mut connection).await;
            if answer.as_ref().is_err_and(is_unavailable) {
                connection.close(true);
            }
            answer
        };
        self.in_time(operation, asking).await
    }

    /// Waits for the result of a call until the timeout; then its outcome is unknown.
    pub(crate) async fn in_time<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, PostgresError>>,
    ) -> Result<T, PostgresError> {
        let span = tracing::debug_span!("postgres", operation);
        let call = in_time(self.timeouts.transaction, operation, call);
        call.instrument(span)
            .await
            .map_err(|error| self.learn(error))
    }

    /// Uses an error for later calls (closes idle connections), and returns it with more detail.
    pub(crate) fn learn(&self, error: PostgresError) -> PostgresError {
        match error {
            PostgresError::Locked {
                operation, source, ..
            } => PostgresError::Locked {
                operation,
                after: Some(self.timeouts.lock),
                source,
            },
            error => {
                if error.breaks_connections() {
                    self.close_idle();
                }
                error
            }
        }
    }

    /// Each broken one would delay another call.
    fn close_idle(&self) {
        while let Some(mut idle) = self.pool.try_acquire() {
            idle.close_on_drop();
        }
    }
}

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
    async fn begin(
        operation: &'static str,
        mut connection: Connection<'a>,
        sql: SqlStr,
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

impl fmt::Debug for Within<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Within").finish_non_exhaustive()
    }
}

/// Waits for the result of a call at most `after`; then its outcome is unknown.
pub(crate) async fn in_time<T>(
    after: Duration,
    operation: &'static str,
    call: impl Future<Output = Result<T, PostgresError>>,
) -> Result<T, PostgresError> {
    let late = || Err(Failure::timed_out(operation, after).into());
    timeout(after, call).await.unwrap_or_else(|_| late())
}

fn is_unavailable(error: &PostgresError) -> bool {
    matches!(error, PostgresError::Failed(failure) if matches!(failure.retry(), Retry::After(_)))
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
