//! Timeouts.

use std::time::Duration;

/// Timeouts. The limits are independent; the time of a transaction includes waiting for a
/// connection.
///
/// Lock and statement timeouts are set in each transaction of this crate, and nowhere else: the
/// host's own connections keep their settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    pub(crate) acquire: Duration,
    pub(crate) lock: Duration,
    pub(crate) statement: Duration,
    pub(crate) transaction: Duration,
}

impl Default for Timeouts {
    /// 2 seconds for a connection and for a lock, 3 for a statement, 4 for a transaction. These are
    /// shorter than the 5 seconds of `Inventory`, so that its caller gets the more exact error.
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
    /// Sets how long to wait for a connection of the pool.
    #[must_use]
    pub fn with_acquire(mut self, acquire: Duration) -> Self {
        self.acquire = acquire;
        self
    }

    /// Sets how long the server waits for a lock; at least a millisecond.
    #[must_use]
    pub fn with_lock(mut self, lock: Duration) -> Self {
        self.lock = lock.max(Duration::from_millis(1));
        self
    }

    /// Sets how long the server works on one statement; at least a millisecond.
    #[must_use]
    pub fn with_statement(mut self, statement: Duration) -> Self {
        self.statement = statement.max(Duration::from_millis(1));
        self
    }

    /// Sets how long to wait for a whole transaction, also when the server does not answer.
    #[must_use]
    pub fn with_transaction(mut self, transaction: Duration) -> Self {
        self.transaction = transaction;
        self
    }
}
