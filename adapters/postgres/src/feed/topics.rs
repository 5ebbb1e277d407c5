//! Topics, created when first named.

use stockade_change_feed::{FeedError, Topic};

use super::PostgresFeed;
use crate::error::{PostgresError, failed};

/// A topic as it is now.
#[derive(Clone, Copy, Debug)]
pub(super) struct TopicEntry {
    pub(super) id: i64,
    pub(super) partitions: u32,
}

impl PostgresFeed {
    /// The topic of that name.
    pub(super) async fn topic(&self, topic: &Topic) -> Result<TopicEntry, FeedError> {
        let operation = "find topic";
        loop {
            if let Some(found) = self.find_topic(topic).await? {
                return Ok(found);
            }
            let partitions = i32::try_from(self.shared.partitions).unwrap_or(i32::MAX);
            let create = sqlx::query(self.shared.statements.create_topic.clone())
                .bind(topic.as_str())
                .bind(partitions);
            self.execute(operation, create).await?;
        }
    }

    async fn find_topic(&self, topic: &Topic) -> Result<Option<TopicEntry>, PostgresError> {
        const OPERATION: &str = "find topic";
        let sessions = &self.shared.sessions;
        let finding = async {
            let mut connection = sessions.connection(OPERATION).await?;
            let query = sqlx::query_as(self.shared.statements.topic.clone());
            let row = query.bind(topic.as_str()).fetch_optional(&mut *connection);
            row.await.map_err(failed(OPERATION))
        };
        let found: Option<(i64, i64)> = sessions.in_time(OPERATION, finding).await?;
        Ok(found.map(|(id, partitions)| TopicEntry {
            id,
            partitions: u32::try_from(partitions).unwrap_or(u32::MAX),
        }))
    }
}
