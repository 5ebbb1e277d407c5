//! Topics, which are created when they are first used.

use sqlx::PgConnection;
use stockade_change_feed::{Topic, TopicPartition};

use super::PostgresFeed;
use crate::error::{PostgresError, committing, failed};

/// A topic as it is now.
#[derive(Clone, Copy, Debug)]
pub(super) struct TopicEntry {
    pub(super) id: i64,
    pub(super) partitions: u32,
}

const OPERATION: &str = "find topic";

/// The number of a partition, as it is stored.
pub(super) fn number(at: &TopicPartition) -> i32 {
    i32::try_from(at.partition).unwrap_or(i32::MAX)
}

impl PostgresFeed {
    /// The topic of that name.
    pub(super) async fn topic(&self, topic: &Topic) -> Result<TopicEntry, PostgresError> {
        let finding = async |connection: &mut PgConnection| self.topic_on(connection, topic).await;
        self.shared.sessions.ask(OPERATION, finding).await
    }

    /// As [`topic`](Self::topic), on a connection that may be in a transaction.
    pub(super) async fn topic_on(
        &self,
        connection: &mut PgConnection,
        topic: &Topic,
    ) -> Result<TopicEntry, PostgresError> {
        loop {
            let find = sqlx::query_as(self.shared.statements.topic.clone()).bind(topic.as_str());
            let found = find.fetch_optional(&mut *connection).await;
            let found: Option<(i64, i64)> = found.map_err(failed(OPERATION))?;
            if let Some((id, partitions)) = found {
                let partitions = u32::try_from(partitions).unwrap_or(u32::MAX);
                return Ok(TopicEntry { id, partitions });
            }
            let partitions = i32::try_from(self.shared.partitions).unwrap_or(i32::MAX);
            let create = sqlx::query(self.shared.statements.create_topic.clone())
                .bind(topic.as_str())
                .bind(partitions);
            let created = create.execute(&mut *connection).await;
            created.map_err(committing(OPERATION))?;
        }
    }
}
