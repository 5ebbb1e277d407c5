//! Where statements run: on connections of a pool, or inside the host's transaction.

mod connection;
mod timeouts;
mod transaction;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, PgPool, Postgres, SqlSafeStr};
use stockade_change_feed::{Failure, Retry};
use tokio::sync::Mutex;
use tokio::time::timeout;
use tracing::Instrument as _;

pub(crate) use self::connection::Connection;
pub use self::timeouts::Timeouts;
pub(crate) use self::transaction::Transaction;
use crate::error::{PostgresError, failed};

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
        let begin = sqlx::AssertSqlSafe(self.timeouts.begin()).into_sql_str();
        Transaction::begin(operation, connection, begin).await
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
