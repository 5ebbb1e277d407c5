//! Appends records.

use async_trait::async_trait;
use sqlx::PgConnection;
use stockade_change_feed::{
    FeedError, Message, Offset, Published, Publisher, Topic, TopicPartition,
};

use super::PostgresFeed;
use super::headers;
use super::topics::TopicEntry;
use crate::error::{PostgresError, committing};

const OPERATION: &str = "publish";

#[async_trait]
impl Publisher for PostgresFeed {
    /// Publishes the messages of a call: all that can be appended are appended in one transaction.
    async fn publish(
        &self,
        topic: &Topic,
        messages: Vec<Message>,
    ) -> Result<Vec<Result<Published, FeedError>>, FeedError> {
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        let entry = self.topic(topic).await?;
        let checked = messages.iter();
        let checked: Vec<Result<u32, FeedError>> = checked
            .map(|message| self.check(topic, entry, message))
            .collect();
        let mut batch = Batch::default();
        for (message, partition) in messages.into_iter().zip(&checked) {
            if let Ok(partition) = partition {
                batch.add(*partition, message);
            }
        }
        let appended = self.append_alone(entry, batch).await;
        self.wake();
        let mut offsets = appended?.into_iter();
        let outcome = |partition: Result<u32, FeedError>| {
            let partition = TopicPartition::new(topic.clone(), partition?);
            match offsets.next() {
                Some(offset) => Ok(Published { partition, offset }),
                // The topic was deleted meanwhile.
                None => Err(FeedError::UnknownTopic {
                    topic: topic.clone(),
                }),
            }
        };
        Ok(checked.into_iter().map(outcome).collect())
    }

    async fn partitions(&self, topic: &Topic) -> Result<u32, FeedError> {
        Ok(self.topic(topic).await?.partitions)
    }
}

impl PostgresFeed {
    /// The partition that a message goes to, if it can be appended.
    fn check(&self, topic: &Topic, entry: TopicEntry, message: &Message) -> Result<u32, FeedError> {
        let (bytes, limit) = (message.bytes(), self.shared.max_message_bytes);
        if bytes > limit {
            return Err(FeedError::TooLarge {
                topic: topic.clone(),
                bytes,
                limit,
            });
        }
        message.partition_in(topic, entry.partitions)
    }

    /// The offset of each message, in their order.
    async fn append_alone(
        &self,
        topic: TopicEntry,
        batch: Batch,
    ) -> Result<Vec<Offset>, PostgresError> {
        let appending =
            async |connection: &mut PgConnection| self.append(connection, topic.id, batch).await;
        self.shared.sessions.ask(OPERATION, appending).await
    }

    /// Appends on a connection, which may be in a transaction.
    pub(super) async fn append(
        &self,
        connection: &mut PgConnection,
        topic: i64,
        batch: Batch,
    ) -> Result<Vec<Offset>, PostgresError> {
        if batch.partition.is_empty() {
            return Ok(Vec::new());
        }
        let query = sqlx::query_as(self.shared.statements.append.clone())
            .bind(topic)
            .bind(batch.partition)
            .bind(batch.key)
            .bind(batch.value)
            .bind(batch.headers)
            .bind(batch.bytes);
        let rows = query.fetch_all(connection).await;
        let mut rows: Vec<(i64, i32, i64)> = rows.map_err(committing(OPERATION))?;
        rows.sort_unstable();
        let offset = |(_, _, offset): (i64, i32, i64)| Offset(offset.unsigned_abs().into());
        Ok(rows.into_iter().map(offset).collect())
    }
}

/// Columns of records.
#[derive(Default)]
pub(super) struct Batch {
    partition: Vec<i32>,
    key: Vec<Option<Vec<u8>>>,
    value: Vec<Option<Vec<u8>>>,
    headers: Vec<Option<Vec<u8>>>,
    bytes: Vec<i64>,
}

impl Batch {
    pub(super) fn len(&self) -> usize {
        self.partition.len()
    }

    pub(super) fn add(&mut self, partition: u32, message: Message) {
        self.bytes
            .push(i64::try_from(message.bytes()).unwrap_or(i64::MAX));
        self.partition
            .push(i32::try_from(partition).unwrap_or(i32::MAX));
        self.key.push(message.key.map(Vec::from));
        self.value.push(message.value.map(Vec::from));
        self.headers.push(headers::encode(&message.headers));
    }
}
