//! The one loop that workers are built on: poll, handle, commit.

use std::time::Duration;

use async_trait::async_trait;

use crate::record::Record;

/// What a worker does with records.
///
/// The same record may be handled again after a crash, a lost commit or a change of assignment,
/// also at the same time by another member. So every effect must be conditional: on a version,
/// a state or an id that the effect itself leaves behind.
#[async_trait]
pub trait Handler: Send + Sync {
    /// Handles a batch and returns how each record ended, in the order of `records`.
    ///
    /// The batch holds records of several partitions; within one they are in order. The future
    /// may be dropped at any await point, after which the same records come again.
    async fn handle(&self, records: &[Record]) -> Vec<Disposition>;
}

/// How a record ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// Its effect is durable, or it needed none.
    Done,
    /// This record failed, perhaps for now. It is handled again, and dead-lettered when its
    /// budget of attempts is spent.
    Retry {
        /// Why, for the log and the dead letter.
        reason: String,
    },
    /// Something that every record needs can not be reached. It is handled again, after a pause
    /// and without limit: no record is to blame.
    Unavailable {
        /// Why, for the log.
        reason: String,
        /// When to try again.
        retry_after: Duration,
    },
    /// It can never succeed. It is stored as a dead letter, and then counts as finished.
    DeadLetter {
        /// Why.
        reason: String,
    },
}
