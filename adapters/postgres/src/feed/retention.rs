//! Deletes old records, and resets groups.

use std::time::Duration;

use sqlx::PgConnection;
use stockade_change_feed::{FeedError, Group, Start, Timestamp, Topic, TopicPartition};

use super::PostgresFeed;
use super::topics::number;
use crate::error::{PostgresError, committing, failed};

const TRIM: &str = "trim";
const RESET: &str = "reset group";
/// Records that are deleted in one transaction.
const BATCH: i64 = 1_000;

/// Where a group starts again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResetTo {
    /// At the oldest record.
    Earliest,
    /// At the first record that was published at this time or later, by the server's clock.
    Since(Timestamp),
    /// After the newest record.
    Latest,
}

impl ResetTo {
    fn micros(self) -> i64 {
        match self {
            Self::Earliest => i64::MIN,
            Self::Since(time) => time.as_micros(),
            Self::Latest => i64::MAX,
        }
    }
}

impl PostgresFeed {
    /// Deletes the records of a partition before `before`. A group that has not finished them loses
    /// its offset.
    ///
    /// Readers no longer see the records as soon as the call has marked them. They are then deleted
    /// in batches that do not block publishers. When an error interrupts the deletion, the next
    /// call continues it.
    ///
    /// # Errors
    /// [`FeedError::Failed`] and similar errors.
    pub async fn trim(&self, partition: &TopicPartition, before: u64) -> Result<(), FeedError> {
        let before = i64::try_from(before).unwrap_or(i64::MAX);
        Ok(self.trim_before(partition, before).await?)
    }

    /// Deletes the records of a topic that are older than `age`. Call it from time to time. Groups
    /// that have not finished these records lose their offset. Otherwise as [`trim`](Self::trim).
    ///
    /// # Errors
    /// [`FeedError::Failed`] and similar errors.
    pub async fn trim_older(&self, topic: &Topic, age: Duration) -> Result<(), FeedError> {
        let age = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
        let looking = async |connection: &mut PgConnection| {
            let now = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint";
            let now = sqlx::query_scalar(now).fetch_one(&mut *connection).await;
            let now: i64 = now.map_err(failed(TRIM))?;
            self.since(connection, topic, now.saturating_sub(age)).await
        };
        for (partition, before) in self.shared.sessions.ask(TRIM, looking).await? {
            let partition = TopicPartition::new(topic.clone(), partition.unsigned_abs());
            self.trim_before(&partition, before).await?;
        }
        Ok(())
    }

    async fn trim_before(
        &self,
        partition: &TopicPartition,
        before: i64,
    ) -> Result<(), PostgresError> {
        let cut = sqlx::query(self.shared.statements.cut.clone())
            .bind(partition.topic.as_str())
            .bind(number(partition))
            .bind(before);
        self.execute(TRIM, cut).await?;
        self.delete_forgotten(partition).await
    }

    /// Deletes the trimmed records, in their own transactions.
    async fn delete_forgotten(&self, partition: &TopicPartition) -> Result<(), PostgresError> {
        let mut from = Some(0_i64);
        while let Some(next) = from {
            let trim = sqlx::query_scalar(self.shared.statements.trim.clone())
                .bind(partition.topic.as_str())
                .bind(number(partition))
                .bind(next)
                .bind(BATCH);
            let deleting = async |connection: &mut PgConnection| {
                let deleted = trim.fetch_one(connection).await;
                deleted.map_err(committing(TRIM))
            };
            from = self.shared.sessions.ask(TRIM, deleting).await?;
        }
        Ok(())
    }

    /// Deletes the trimmed records of all partitions of a topic.
    pub(super) async fn delete_all_forgotten(&self, topic: &Topic) -> Result<(), PostgresError> {
        for partition in 0..self.topic(topic).await?.partitions {
            let partition = TopicPartition::new(topic.clone(), partition);
            self.delete_forgotten(&partition).await?;
        }
        Ok(())
    }

    /// Deletes a topic. Its next use creates it again, with offsets from 0. Committed offsets of
    /// groups are then reported as lost.
    ///
    /// # Errors
    /// [`FeedError::Failed`] and similar errors.
    pub async fn delete_topic(&self, topic: &Topic) -> Result<(), FeedError> {
        // Few are left to be deleted together with it.
        self.trim_older(topic, Duration::ZERO).await?;
        let query = sqlx::query(self.shared.statements.delete_topic.clone()).bind(topic.as_str());
        Ok(self.execute("delete topic", query).await?)
    }

    /// Moves a group to another place in these topics, to read finished records again or to skip
    /// unfinished ones. A group that does not exist is created there. Takes effect in all topics or
    /// in none.
    ///
    /// A member that crashed counts as a reader until the session timeout is over.
    ///
    /// # Errors
    /// [`FeedError::GroupActive`] while the group has members, whatever topics they read;
    /// [`FeedError::UnknownTopic`]; [`FeedError::Failed`] and similar errors.
    pub async fn reset_group(
        &self,
        group: &Group,
        topics: &[Topic],
        to: ResetTo,
    ) -> Result<(), FeedError> {
        let resetting = async |connection: &mut PgConnection| {
            self.reset_on(connection, group, topics, to).await
        };
        match self.transact(RESET, resetting).await? {
            Reset::Done => Ok(()),
            Reset::Active(members) => Err(FeedError::GroupActive {
                group: group.clone(),
                members,
            }),
            Reset::Unknown(topic) => Err(FeedError::UnknownTopic { topic }),
        }
    }

    async fn reset_on(
        &self,
        connection: &mut PgConnection,
        group: &Group,
        topics: &[Topic],
        to: ResetTo,
    ) -> Result<Reset, PostgresError> {
        // No member joins until this is over.
        let mut locked = self.lock_group(connection, group, &[], RESET).await?;
        let timeout = self.shared.session_timeout;
        let mut changes = locked.state.expire(locked.now, timeout);
        let members = locked.state.len();
        // A member that was silent and comes back has to look where to go on.
        changes.others_should_poll = true;
        self.write_group(connection, group, &mut locked, changes, Start::Earliest)
            .await?;
        if members > 0 {
            return Ok(Reset::Active(members));
        }
        let mut begins = Vec::new();
        for topic in topics {
            let begin = self.since(connection, topic, to.micros()).await?;
            if begin.is_empty() {
                return Ok(Reset::Unknown(topic.clone()));
            }
            begins.push((topic, begin));
        }
        for (topic, begin) in begins {
            let (partitions, offsets): (Vec<i32>, Vec<i64>) = begin.into_iter().unzip();
            let reset = sqlx::query(self.shared.statements.reset_group.clone())
                .bind(group.as_str())
                .bind(topic.as_str())
                .bind(partitions)
                .bind(offsets);
            let reset = reset.execute(&mut *connection).await;
            reset.map_err(failed(RESET))?;
        }
        Ok(Reset::Done)
    }

    /// The first record of each partition that was published at this time (in microseconds since
    /// 1970) or later. Records are published in the order of their times, unless the server's clock
    /// is set back.
    async fn since(
        &self,
        connection: &mut PgConnection,
        topic: &Topic,
        micros: i64,
    ) -> Result<Vec<(i32, i64)>, PostgresError> {
        let since = sqlx::query_as(self.shared.statements.since.clone())
            .bind(topic.as_str())
            .bind(micros);
        let found = since.fetch_all(connection).await;
        found.map_err(failed("find records by time"))
    }
}

/// The outcome of a reset.
enum Reset {
    Done,
    Active(usize),
    Unknown(Topic),
}
