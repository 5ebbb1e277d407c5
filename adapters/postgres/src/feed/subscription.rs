//! One member of a group.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use sqlx::PgConnection;
use stockade_change_feed::{
    FeedError, Gained, Group, Offset, OffsetReset, OnLostOffset, PollLimits, Polled, Position,
    Record, SubscribeOptions, Subscription, Timestamp, Topic, TopicPartition,
};

use super::group::{Owned, Share, number};
use super::{PostgresFeed, headers};
use crate::error::{PostgresError, committing, failed};

/// How long a waiting poll rests before it asks again for what other processes published.
const NAP: Duration = Duration::from_millis(50);
const READ: &str = "read records";
const COMMIT: &str = "commit offsets";

/// A member of a group. Dropped, it stays one until the session timeout.
pub(super) struct PostgresSubscription {
    pub(super) feed: PostgresFeed,
    pub(super) group: Group,
    pub(super) topics: Vec<Topic>,
    pub(super) options: SubscribeOptions,
    pub(super) member: i64,
    held: BTreeMap<TopicPartition, Owned>,
    /// When this member was last heard of, and in which generation of the group.
    shared: Option<(Instant, i64)>,
    /// Where reading went on elsewhere, and the group's progress does not say so yet.
    unsaved: Vec<TopicPartition>,
    /// What the next successful poll reports.
    report: Polled,
    /// From which of its partitions the next poll reads first.
    turn: usize,
}

/// A partition that a poll asked for: how it is now, and what was found in it.
struct Found {
    at: TopicPartition,
    /// None where the topic is gone.
    now: Option<Bounds>,
    records: Vec<(i64, Record)>,
}

#[derive(Clone, Copy)]
struct Bounds {
    topic: i64,
    first: i64,
    next: i64,
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

impl PostgresSubscription {
    pub(super) async fn join(
        feed: PostgresFeed,
        group: &Group,
        topics: &[Topic],
        options: SubscribeOptions,
    ) -> Result<Self, PostgresError> {
        const OPERATION: &str = "join group";
        let next = feed
            .shared
            .schema
            .sql("SELECT nextval('{schema}.members_seq')");
        let joining = async |connection: &mut PgConnection| {
            let member = sqlx::query_scalar(next).fetch_one(connection).await;
            member.map_err(failed(OPERATION))
        };
        let member = feed.shared.sessions.ask(OPERATION, joining).await?;
        Ok(Self {
            feed,
            group: group.clone(),
            topics: topics.to_vec(),
            options,
            member,
            held: BTreeMap::new(),
            shared: None,
            unsaved: Vec::new(),
            report: Polled::default(),
            turn: 0,
        })
    }

    /// What can be returned without waiting. State changes only between awaits, so a poll that is
    /// dropped loses nothing.
    async fn poll_now(&mut self, limits: &PollLimits) -> Result<Polled, FeedError> {
        let session = self.feed.shared.session_timeout;
        if self
            .shared
            .is_none_or(|(heard, _)| heard.elapsed() >= session / 4)
        {
            let share = self.share().await?;
            self.note(share);
        }
        let (mut generation, mut found) = self.read(limits).await?;
        while Some(generation) != self.shared.map(|(_, generation)| generation) {
            let share = self.share().await?;
            self.note(share);
            (generation, found) = self.read(limits).await?;
        }
        if limits.records > 0 {
            self.check_offsets(&mut found)?;
            self.save_resets().await?;
        }
        self.turn = self.turn.wrapping_add(1);
        let mut records = Vec::new();
        for (offset, record) in found.into_iter().flat_map(|found| found.records) {
            if let Some(held) = self.held.get_mut(&record.position.partition) {
                held.next = offset + 1;
                records.push(record);
            }
        }
        let report = std::mem::take(&mut self.report);
        Ok(Polled::records(records)
            .with_assignment(report.gained, report.lost)
            .with_resets(report.resets))
    }

    fn note(&mut self, share: Share) {
        let Share { generation, owned } = share;
        self.shared = Some((Instant::now(), generation));
        let report = &mut self.report;
        self.held.retain(|at, held| {
            let kept = owned.get(at).is_some_and(|owned| owned.epoch == held.epoch);
            if !kept {
                // What was never reported as gained need not be reported as lost.
                let reported = report.gained.len();
                report.gained.retain(|gained| gained.partition != *at);
                if report.gained.len() == reported {
                    report.lost.push(at.clone());
                }
            }
            kept
        });
        for (at, owned) in owned {
            self.held.entry(at.clone()).or_insert_with(|| {
                let last = u128::try_from(owned.next - 1).ok().map(Offset);
                report.gained.push(Gained::new(at, last));
                owned
            });
        }
        self.unsaved.retain(|at| self.held.contains_key(at));
    }

    /// Reads from the partitions that are not paused, in turn, and the group's generation.
    async fn read(&self, limits: &PollLimits) -> Result<(i64, Vec<Found>), PostgresError> {
        let mut wanted: Vec<(&TopicPartition, &Owned)> = self.held.iter().collect();
        let turn = self.turn.checked_rem(wanted.len()).unwrap_or(0);
        wanted.rotate_left(turn);
        wanted.retain(|(at, _)| !limits.paused.contains(at));
        let names: Vec<&str> = wanted.iter().map(|(at, _)| at.topic.as_str()).collect();
        let query = sqlx::query_as(self.feed.shared.statements.read.clone())
            .bind(self.group.as_str())
            .bind(names)
            .bind(wanted.iter().map(|(at, _)| number(at)).collect::<Vec<_>>())
            .bind(
                wanted
                    .iter()
                    .map(|(_, held)| held.topic)
                    .collect::<Vec<_>>(),
            )
            .bind(wanted.iter().map(|(_, held)| held.next).collect::<Vec<_>>())
            .bind(i64::try_from(limits.records).unwrap_or(i64::MAX))
            .bind(i64::try_from(limits.bytes).unwrap_or(i64::MAX));
        let reading = async |connection: &mut PgConnection| {
            let rows = query.fetch_all(connection).await;
            rows.map_err(failed(READ))
        };
        let rows: Vec<Row> = self.feed.shared.sessions.ask(READ, reading).await?;

        let unknown = |at: &TopicPartition| Found {
            at: at.clone(),
            now: None,
            records: Vec::new(),
        };
        let mut found: Vec<Found> = wanted.iter().map(|(at, _)| unknown(at)).collect();
        // Where the group was forgotten, it has to be entered anew.
        let generation = rows.first().map_or(-1, |row| row.0);
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
        Ok((generation, found))
    }

    /// Applies the policy where reading can't go on. Before anything is returned, so that an error
    /// loses no record.
    fn check_offsets(&mut self, found: &mut [Found]) -> Result<(), FeedError> {
        for Found { at, now, records } in found {
            let Some(held) = self.held.get_mut(at) else {
                continue;
            };
            let Some(now) = *now else {
                // Until it is created anew.
                records.clear();
                continue;
            };
            let holds = held.topic == now.topic && (now.first..=now.next).contains(&held.next);
            if holds {
                continue;
            }
            let offset = |number: i64| Offset(number.unsigned_abs().into());
            let resumed = match self.options.on_lost_offset {
                OnLostOffset::Fail => {
                    return Err(FeedError::OffsetLost {
                        topic: at.topic.clone(),
                        partition: at.partition,
                        wanted: offset(held.next),
                        earliest: offset(now.first),
                    });
                }
                OnLostOffset::Earliest => now.first,
                OnLostOffset::Latest => now.next,
            };
            let committed = offset(held.next.saturating_sub(1).max(0));
            let reset = OffsetReset::new(at.clone(), committed, offset(resumed));
            self.report.resets.push(reset);
            (held.topic, held.next) = (now.topic, resumed);
            records.clear();
            self.unsaved.push(at.clone());
        }
        Ok(())
    }

    /// Tells the group where reading went on: its old progress would take every commit for a step
    /// back.
    async fn save_resets(&mut self) -> Result<(), PostgresError> {
        if self.unsaved.is_empty() {
            return Ok(());
        }
        let held = self.unsaved.iter();
        let held = held.filter_map(|at| self.held.get_key_value(at));
        let query = self.bind(
            &self.feed.shared.statements.reset,
            &held.collect::<Vec<_>>(),
        );
        self.feed.execute("reset offsets", query).await?;
        self.unsaved.clear();
        Ok(())
    }

    /// A statement about partitions as this member holds them.
    fn bind<'q>(
        &self,
        statement: &sqlx::SqlStr,
        held: &[(&TopicPartition, &Owned)],
    ) -> sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments> {
        let topics: Vec<String> = held.iter().map(|(at, _)| at.topic.to_string()).collect();
        sqlx::query(statement.clone())
            .bind(self.group.as_str().to_owned())
            .bind(self.member)
            .bind(topics)
            .bind(held.iter().map(|(at, _)| number(at)).collect::<Vec<_>>())
            .bind(held.iter().map(|(_, held)| held.topic).collect::<Vec<_>>())
            .bind(held.iter().map(|(_, held)| held.epoch).collect::<Vec<_>>())
            .bind(held.iter().map(|(_, held)| held.next).collect::<Vec<_>>())
    }

    /// The partitions of those that were still this member's, and are committed.
    async fn commit_held(
        &self,
        finished: &BTreeMap<&TopicPartition, Owned>,
    ) -> Result<Vec<(String, i32)>, PostgresError> {
        if finished.is_empty() {
            return Ok(Vec::new());
        }
        let held: Vec<_> = finished.iter().map(|(at, held)| (*at, held)).collect();
        let query = self.bind(&self.feed.shared.statements.commit, &held);
        let asking = async |connection: &mut PgConnection| {
            let rows = query.fetch_all(connection).await;
            rows.map_err(committing(COMMIT))
        };
        let rows = self.feed.shared.sessions.ask(COMMIT, asking).await?;
        let rows = rows.iter();
        rows.map(|row| {
            let (topic, partition) = (sqlx::Row::try_get(row, 0), sqlx::Row::try_get(row, 1));
            Ok((
                topic.map_err(failed(COMMIT))?,
                partition.map_err(failed(COMMIT))?,
            ))
        })
        .collect()
    }
}

#[async_trait]
impl Subscription for PostgresSubscription {
    async fn poll(&mut self, limits: &PollLimits) -> Result<Polled, FeedError> {
        let mut changes = self.feed.shared.changes.subscribe();
        let started = Instant::now();
        loop {
            changes.mark_unchanged();
            let polled = self.poll_now(limits).await?;
            let rest = limits.wait.saturating_sub(started.elapsed());
            if !is_empty(&polled) || rest.is_zero() {
                return Ok(polled);
            }
            // The sender lives in the feed.
            let _ = tokio::time::timeout(rest.min(NAP), changes.changed()).await;
        }
    }

    async fn commit(
        &mut self,
        finished: &[Position],
    ) -> Result<Vec<Result<(), FeedError>>, FeedError> {
        let mut last: BTreeMap<&TopicPartition, Owned> = BTreeMap::new();
        for position in finished {
            let Some(held) = self.held.get(&position.partition) else {
                continue;
            };
            let next = i64::try_from(position.offset.0).unwrap_or(i64::MAX - 1) + 1;
            let furthest = last
                .entry(&position.partition)
                .or_insert(Owned { next, ..*held });
            furthest.next = furthest.next.max(next);
        }
        let committed = self.commit_held(&last).await?;
        let outcome = |position: &Position| {
            let TopicPartition { topic, partition } = &position.partition;
            let is_this = |(name, at): &(String, i32)| {
                name == topic.as_str() && u32::try_from(*at) == Ok(*partition)
            };
            let held = last.contains_key(&position.partition);
            if held && committed.iter().any(is_this) {
                return Ok(());
            }
            Err(FeedError::NotAssigned {
                topic: topic.clone(),
                partition: *partition,
            })
        };
        Ok(finished.iter().map(outcome).collect())
    }

    async fn close(self: Box<Self>) -> Result<(), FeedError> {
        let leave = sqlx::query(self.feed.shared.statements.leave.clone())
            .bind(self.group.as_str())
            .bind(self.member);
        self.feed.execute("leave group", leave).await?;
        self.feed.wake();
        Ok(())
    }
}

fn is_empty(polled: &Polled) -> bool {
    polled.records.is_empty()
        && polled.gained.is_empty()
        && polled.lost.is_empty()
        && polled.resets.is_empty()
}
