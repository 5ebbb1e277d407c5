//! Connections and transactions: how long they may take, and what is left when they are given up.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, PgPool, Postgres, SqlSafeStr};
use tokio::sync::{MappedMutexGuard, Mutex, MutexGuard};
use tokio::time::timeout;

use stockade_change_feed::{Failure, Retry};

use crate::error::{PostgresError, committing, failed};

/// How long things may take. Each limit is for itself; a transaction also waits for connections.
///
/// Lock and statement timeouts are set in each of our transactions, and nowhere else: the host's
/// own connections keep their settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    pub(crate) acquire: Duration,
    pub(crate) lock: Duration,
    pub(crate) statement: Duration,
    pub(crate) transaction: Duration,
}

impl Default for Timeouts {
    /// 2 seconds for a connection and for a lock, 3 for a statement, 4 for a transaction: less
    /// than the 5 that `Inventory` waits, so that the reason is told.
    fn default() -> Self {
        Self {
            acquire: Duration::from_secs(2),
            lock: Duration::from_secs(2),
            statement: Duration::from_secs(3),
            transaction: Duration::from_secs(4),
        }
    }
}

impl Timeouts {
    /// How long is waited for a connection of the pool.
    #[must_use]
    pub fn with_acquire(mut self, acquire: Duration) -> Self {
        self.acquire = acquire;
        self
    }

    /// How long the server waits for a lock; at least a millisecond.
    #[must_use]
    pub fn with_lock(mut self, lock: Duration) -> Self {
        self.lock = lock.max(Duration::from_millis(1));
        self
    }

    /// How long the server works on one statement; at least a millisecond.
    #[must_use]
    pub fn with_statement(mut self, statement: Duration) -> Self {
        self.statement = statement.max(Duration::from_millis(1));
        self
    }

    /// How long is waited here for a whole transaction, also where the server says nothing.
    #[must_use]
    pub fn with_transaction(mut self, transaction: Duration) -> Self {
        self.transaction = transaction;
        self
    }

    /// Plans are made once, perhaps while tables were empty: everything is found by an index, so
    /// none may settle on reading the whole table.
    fn begin(&self) -> String {
        let (lock, statement) = (self.lock.as_millis(), self.statement.as_millis());
        format!(
            "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL enable_seqscan = off; \
             SET LOCAL lock_timeout = {lock}; SET LOCAL statement_timeout = {statement}"
        )
    }
}

/// A pool, and how patient we are with it.
#[derive(Clone, Debug)]
pub struct Sessions {
    pub(crate) pool: PgPool,
    pub(crate) timeouts: Timeouts,
}

impl Sessions {
    pub(crate) fn new(pool: PgPool) -> Self {
        let timeouts = Timeouts::default();
        Self { pool, timeouts }
    }

    /// A connection for a statement that is a transaction of its own.
    pub(crate) async fn connection(&self, operation: &'static str) -> Result<Lent, PostgresError> {
        let acquired = timeout(self.timeouts.acquire, self.pool.acquire()).await;
        let acquired = acquired.unwrap_or(Err(sqlx::Error::PoolTimedOut));
        acquired.map(Lent::new).map_err(failed(operation))
    }

    /// The answer to a statement that is a transaction of its own, on a connection of the pool and
    /// in time. Where its server can't write, as after a failover, the connection is closed, so
    /// that the pool finds the one that can.
    pub(crate) async fn ask<T>(
        &self,
        operation: &'static str,
        ask: impl AsyncFnOnce(&mut PgConnection) -> Result<T, PostgresError>,
    ) -> Result<T, PostgresError> {
        let asking = async {
            let mut connection = Connection::Pooled(self.connection(operation).await?);
            let answer = ask(&mut connection).await;
            connection.told(answer)
        };
        self.in_time(operation, asking).await
    }

    /// A transaction of our own.
    pub(crate) async fn begin(
        &self,
        operation: &'static str,
    ) -> Result<Work<'static>, PostgresError> {
        let mut connection = self.connection(operation).await?;
        connection.close();
        let mut work = Work {
            operation,
            held: Held::Pooled(connection),
        };
        let begin = sqlx::AssertSqlSafe(self.timeouts.begin()).into_sql_str();
        let begun = sqlx::raw_sql(begin).execute(work.connection()).await;
        begun.map_err(failed(operation))?;
        Ok(work)
    }

    /// The result of a call, unless it takes too long. Who gives up on it does not know what
    /// became of it.
    pub(crate) async fn in_time<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, PostgresError>>,
    ) -> Result<T, PostgresError> {
        let outcome = in_time(self.timeouts.transaction, operation, call).await;
        outcome.map_err(|error| self.learn(error))
    }

    /// What others learn from an error, and the error with what is known here.
    pub(crate) fn learn(&self, error: PostgresError) -> PostgresError {
        match error {
            PostgresError::Locked {
                operation, source, ..
            } => PostgresError::Locked {
                operation,
                after: Some(self.timeouts.lock),
                source,
            },
            PostgresError::Failed(failure)
                if matches!(failure.retry(), Retry::After(_) | Retry::OutcomeUnknown) =>
            {
                self.close_idle();
                failure.into()
            }
            error => error,
        }
    }

    /// Where one connection broke or fell silent, those that lie idle probably have too, and each
    /// would cost another call its time.
    fn close_idle(&self) {
        while let Some(mut idle) = self.pool.try_acquire() {
            idle.close_on_drop();
        }
    }
}

/// The result of a call, unless it takes longer than `after`.
pub(crate) async fn in_time<T>(
    after: Duration,
    operation: &'static str,
    call: impl Future<Output = Result<T, PostgresError>>,
) -> Result<T, PostgresError> {
    let late = || Err(Failure::timed_out(operation, after).into());
    timeout(after, call).await.unwrap_or_else(|_| late())
}

/// A connection that the pool has lent.
///
/// The driver gives it back once the server has answered, for which it would wait for ever, and
/// the place in the pool be lost with it. Here the connection is let go instead.
pub struct Lent {
    connection: Option<PoolConnection<Postgres>>,
    closing: bool,
}

impl Lent {
    /// An answer takes no longer, but for one that is still at work on what was given up.
    const ANSWER: Duration = Duration::from_secs(1);

    fn new(connection: PoolConnection<Postgres>) -> Self {
        let connection = Some(connection);
        Self {
            connection,
            closing: false,
        }
    }

    /// Closes it in the end, in place of giving it back.
    pub(crate) fn close(&mut self) {
        self.closing = true;
    }

    /// Takes it out of the pool.
    pub(crate) fn detach(mut self) -> PgConnection {
        self.connection.take().expect(TAKEN).detach()
    }
}

const TAKEN: &str = "it is taken at the end only";

impl Drop for Lent {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else {
            return;
        };
        if self.closing {
            connection.close_on_drop();
        } else if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(timeout(Self::ANSWER, connection.return_to_pool()));
        }
    }
}

impl Deref for Lent {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        self.connection.as_ref().expect(TAKEN)
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.connection.as_mut().expect(TAKEN)
    }
}

/// A connection of the pool, or the host's.
pub enum Connection<'a> {
    #[doc(hidden)]
    Pooled(Lent),
    #[doc(hidden)]
    Host(MappedMutexGuard<'a, PgConnection>),
}

impl fmt::Debug for Connection<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

impl fmt::Debug for Lent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lent")
            .field("closing", &self.closing)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Work<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Work")
            .field("operation", &self.operation)
            .finish_non_exhaustive()
    }
}

impl<'a> Connection<'a> {
    /// The result of a statement that commits itself. Where its server can't write, as after a
    /// failover, the connection is closed, so that the pool finds the one that can.
    pub(crate) fn told<T>(
        &mut self,
        outcome: Result<T, PostgresError>,
    ) -> Result<T, PostgresError> {
        if let (Self::Pooled(connection), Err(error)) = (self, &outcome)
            && is_unavailable(error)
        {
            connection.close();
        }
        outcome
    }

    pub(crate) async fn within(connection: &'a Mutex<&mut PgConnection>) -> Self {
        Self::Host(borrow(connection).await)
    }
}

impl Deref for Connection<'_> {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        match self {
            Self::Pooled(connection) => connection,
            Self::Host(connection) => connection,
        }
    }
}

impl DerefMut for Connection<'_> {
    fn deref_mut(&mut self) -> &mut PgConnection {
        match self {
            Self::Pooled(connection) => connection,
            Self::Host(connection) => connection,
        }
    }
}

async fn borrow<'a>(
    connection: &'a Mutex<&mut PgConnection>,
) -> MappedMutexGuard<'a, PgConnection> {
    MutexGuard::map(connection.lock().await, |connection| &mut **connection)
}

/// A transaction of our own, or a part of the host's.
///
/// Dropped without an end, its connection is closed, because nobody knows how far it came: the
/// driver forgets a BEGIN that nobody waited for, and would lend the open transaction to the next
/// one. In the host's transaction a savepoint is left, which changes nothing.
pub struct Work<'a> {
    operation: &'static str,
    held: Held<'a>,
}

enum Held<'a> {
    Pooled(Lent),
    Host(MappedMutexGuard<'a, PgConnection>),
}

impl<'a> Work<'a> {
    /// A part of the transaction that the host has begun on this connection.
    pub(crate) async fn within(
        operation: &'static str,
        connection: &'a Mutex<&mut PgConnection>,
    ) -> Result<Self, PostgresError> {
        let mut work = Self {
            operation,
            held: Held::Host(borrow(connection).await),
        };
        let begun = sqlx::raw_sql("SAVEPOINT stockade").execute(work.connection());
        begun.await.map_err(failed(operation)).map_err(of_host)?;
        Ok(work)
    }

    pub(crate) fn connection(&mut self) -> &mut PgConnection {
        match &mut self.held {
            Held::Pooled(connection) => connection,
            Held::Host(connection) => connection,
        }
    }

    /// Commits a success and undoes a failure; then says which it was.
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
        let operation = self.operation;
        let (sql, in_host) = match self.held {
            Held::Pooled(_) => ("COMMIT", false),
            Held::Host(_) => ("RELEASE SAVEPOINT stockade", true),
        };
        let committed = sqlx::raw_sql(sql).execute(self.connection()).await;
        let committed = committed.map_err(committing(operation));
        if in_host {
            return committed.map(drop).map_err(of_host);
        }
        committed?;
        self.settle();
        Ok(())
    }

    /// Rolls back because of an error, and returns it as the caller has to see it.
    async fn undo(mut self, error: PostgresError) -> PostgresError {
        let (sql, in_host) = match self.held {
            Held::Pooled(_) => ("ROLLBACK", false),
            Held::Host(_) => (
                "ROLLBACK TO SAVEPOINT stockade; RELEASE SAVEPOINT stockade",
                true,
            ),
        };
        // A server that can't be reached, or can't write any more, is not asked again.
        if !in_host && is_unavailable(&error) {
            return error;
        }
        match sqlx::raw_sql(sql).execute(self.connection()).await {
            Ok(_) => {
                self.settle();
                error
            }
            Err(_) if in_host => of_host(error),
            Err(_) => error,
        }
    }

    fn settle(self) {
        if let Held::Pooled(mut connection) = self.held {
            connection.closing = false;
        }
    }
}

/// What a failure means to a host: its whole transaction is lost.
fn of_host(error: PostgresError) -> PostgresError {
    match error {
        PostgresError::Failed(failure) if failure.retry() != Retry::Never => {
            PostgresError::Failed(failure.with_retry(Retry::RestartTransaction))
        }
        error => error,
    }
}

fn is_unavailable(error: &PostgresError) -> bool {
    matches!(error, PostgresError::Failed(failure) if matches!(failure.retry(), Retry::After(_)))
}
