//! Appends and reads records.

use async_trait::async_trait;
use bytes::{Buf, Bytes};
use sqlx::PgConnection;
use stockade_change_feed::{
    FeedError, Group, Headers, Message, Offset, PollLimits, Position, Published, Publisher, Record,
    Timestamp, Topic, TopicPartition,
};

use super::PostgresFeed;
use super::group::Cursor;
use super::topics::{TopicEntry, number};
use crate::error::{PostgresError, committing, failed};

const PUBLISH: &str = "publish";
const READ: &str = "read records";

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
        self.shared.sessions.ask(PUBLISH, appending).await
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
        let mut rows: Vec<(i64, i32, i64)> = rows.map_err(committing(PUBLISH))?;
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
        self.headers.push(encode_headers(&message.headers));
    }
}

/// A partition that was read: its bounds now, and the records that were found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) at: TopicPartition,
    /// None when the topic was deleted.
    pub(super) now: Option<Bounds>,
    pub(super) records: Vec<(i64, Record)>,
}

/// The bounds of a partition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) topic: i64,
    /// The offset of the oldest record.
    pub(super) first: i64,
    /// The offset of the next record.
    pub(super) next: i64,
}

type Row = (
    i64,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<i64>,
    Option<Vec<u8>>,
    Option<Vec<u8>>,
    Option<Vec<u8>>,
);

impl PostgresFeed {
    /// Reads from partitions, in this order and within the limits, and returns the version of the
    /// group; none when the group does not exist.
    pub(super) async fn read(
        &self,
        group: &Group,
        wanted: &[(TopicPartition, Cursor)],
        limits: &PollLimits,
    ) -> Result<(Option<i64>, Vec<Found>), PostgresError> {
        let partitions = wanted.iter().map(|(at, _)| at);
        let cursors = wanted.iter().map(|(_, cursor)| cursor);
        let names: Vec<&str> = partitions.clone().map(|at| at.topic.as_str()).collect();
        let query = sqlx::query_as(self.shared.statements.read.clone())
            .bind(group.as_str())
            .bind(names)
            .bind(partitions.clone().map(number).collect::<Vec<_>>())
            .bind(
                cursors
                    .clone()
                    .map(|cursor| cursor.topic)
                    .collect::<Vec<_>>(),
            )
            .bind(cursors.map(|cursor| cursor.next).collect::<Vec<_>>())
            .bind(i64::try_from(limits.records).unwrap_or(i64::MAX))
            .bind(i64::try_from(limits.bytes).unwrap_or(i64::MAX));
        let reading = async |connection: &mut PgConnection| {
            let rows = query.fetch_all(connection).await;
            rows.map_err(failed(READ))
        };
        let rows: Vec<Row> = self.shared.sessions.ask(READ, reading).await?;

        let unknown = |at: &TopicPartition| Found {
            at: at.clone(),
            now: None,
            records: Vec::new(),
        };
        let mut found: Vec<Found> = partitions.map(unknown).collect();
        let version = rows.first().map(|row| row.0);
        for (_, place, topic, first, next, offset, micros, key, value, headers) in rows {
            let place = place.and_then(|place| usize::try_from(place).ok());
            let Some(found) = place.and_then(|place| found.get_mut(place)) else {
                continue;
            };
            if let (Some(topic), Some(first), Some(next)) = (topic, first, next) {
                found.now = Some(Bounds { topic, first, next });
            }
            let (Some(offset), Some(micros)) = (offset, micros) else {
                continue;
            };
            let position = Position {
                partition: found.at.clone(),
                offset: Offset(offset.unsigned_abs().into()),
                timestamp: Timestamp::from_micros(micros),
            };
            let record = Record::new(position)
                .with_key(key.map(Into::into))
                .with_value(value.map(Into::into))
                .with_headers(decode_headers(headers)?);
            found.records.push((offset, record));
        }
        Ok((version, found))
    }
}

/// Encodes headers: each name and value, with its length in 4 bytes before it.
fn encode_headers(headers: &Headers) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for (name, value) in headers.iter() {
        for part in [name.as_bytes(), value] {
            bytes.extend(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            bytes.extend(part);
        }
    }
    (!bytes.is_empty()).then_some(bytes)
}

fn decode_headers(bytes: Option<Vec<u8>>) -> Result<Headers, PostgresError> {
    let mut rest = Bytes::from(bytes.unwrap_or_default());
    let mut headers = Headers::new();
    while rest.has_remaining() {
        let name = part(&mut rest)?;
        let name = String::from_utf8(name.into()).map_err(|_| damaged("a name is not UTF-8"))?;
        headers = headers.with(name, part(&mut rest)?);
    }
    Ok(headers)
}

fn part(rest: &mut Bytes) -> Result<Bytes, PostgresError> {
    let length = rest.try_get_u32().map_err(|_| damaged("a length is cut"))? as usize;
    if length > rest.len() {
        return Err(damaged("a value is cut"));
    }
    Ok(rest.split_to(length))
}

fn damaged(what: &str) -> PostgresError {
    PostgresError::Damaged {
        what: format!("headers of a record: {what}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_come_back_and_what_is_cut_is_damaged() {
        let headers = Headers::new().with("a", "1").with("empty", "");
        let bytes = encode_headers(&headers).unwrap();
        assert_eq!(decode_headers(Some(bytes.clone())).unwrap(), headers);
        assert_eq!(encode_headers(&Headers::new()), None);
        assert_eq!(decode_headers(None).unwrap(), Headers::new());
        for end in [1, 4, 6, 12] {
            assert!(
                decode_headers(Some(bytes[..end].to_vec())).is_err(),
                "{end}"
            );
        }
    }
}
