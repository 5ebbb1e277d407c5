//! Reads records.

use sqlx::PgConnection;
use stockade_change_feed::{
    Group, Offset, PollLimits, Position, Record, Timestamp, TopicPartition,
};

use super::group::Cursor;
use super::topics::number;
use super::{PostgresFeed, headers};
use crate::error::{PostgresError, failed};

const OPERATION: &str = "read records";

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
            rows.map_err(failed(OPERATION))
        };
        let rows: Vec<Row> = self.shared.sessions.ask(OPERATION, reading).await?;

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
                .with_headers(headers::decode(headers)?);
            found.records.push((offset, record));
        }
        Ok((version, found))
    }
}
