//! One member of a group.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use sqlx::PgConnection;
use stockade_change_feed::membership::{AssignedPartition, AssignedPartitions, MemberId};
use stockade_change_feed::{
    FeedError, Group, Offset, OffsetReset, OnLostOffset, PollLimits, Polled, Position,
    SubscribeOptions, Subscription, Topic, TopicPartition,
};

use super::PostgresFeed;
use super::group::{Cursor, stored_generation, stored_id};
use super::records::Found;
use super::topics::number;
use crate::error::{PostgresError, committing, failed};

/// How often a waiting poll looks for records that other processes published.
const NAP: Duration = Duration::from_millis(50);
const COMMIT: &str = "commit offsets";

/// A member of a group. When dropped, it stays a member until the session timeout.
pub(super) struct PostgresSubscription {
    feed: PostgresFeed,
    group: Group,
    topics: Vec<Topic>,
    options: SubscribeOptions,
    member: MemberId,
    assigned: AssignedPartitions<Cursor>,
    /// The time of this member's last poll, and the version that the group had then.
    heard: Option<(Instant, i64)>,
    /// Partitions that were reset, and whose reset is not stored in the group's progress yet.
    unsaved: Vec<TopicPartition>,
}

impl PostgresSubscription {
    /// A new member. It joins with its first poll.
    pub(super) async fn new(
        feed: PostgresFeed,
        group: Group,
        topics: Vec<Topic>,
        options: SubscribeOptions,
    ) -> Result<Self, PostgresError> {
        const OPERATION: &str = "join group";
        let next = feed
            .shared
            .schema
            .sql("SELECT nextval('{schema}.members_seq')");
        let naming = async |connection: &mut PgConnection| {
            let member = sqlx::query_scalar(next).fetch_one(connection).await;
            member.map_err(failed(OPERATION))
        };
        let member: i64 = feed.shared.sessions.ask(OPERATION, naming).await?;
        Ok(Self {
            feed,
            group,
            topics,
            options,
            member: MemberId(member.unsigned_abs()),
            assigned: AssignedPartitions::default(),
            heard: None,
            unsaved: Vec::new(),
        })
    }

    /// Returns what is there, without waiting. State changes only between awaits, and the report is
    /// taken last, so a poll that fails or is dropped loses nothing.
    async fn poll_now(&mut self, limits: &PollLimits) -> Result<Polled, FeedError> {
        let heartbeat = self.feed.shared.session_timeout / 4;
        let mut found = loop {
            let version = match self.heard {
                Some((at, version)) if at.elapsed() < heartbeat => version,
                Some(_) | None => self.poll_group().await?,
            };
            let in_turn = self.assigned.in_turn(&limits.paused).into_iter();
            let wanted = in_turn.filter_map(|at| {
                let cursor = self.assigned.get(&at)?.cursor;
                Some((at, cursor))
            });
            let wanted: Vec<(TopicPartition, Cursor)> = wanted.collect();
            let (now, found) = self.feed.read(&self.group, &wanted, limits).await?;
            if now == Some(version) {
                break found;
            }
            self.heard = None;
        };
        if limits.records > 0 {
            self.check_offsets(&mut found)?;
            self.save_resets().await?;
        }
        let mut records = Vec::new();
        for (offset, record) in found.into_iter().flat_map(|found| found.records) {
            if let Some(assigned) = self.assigned.get_mut(&record.position.partition) {
                assigned.cursor.next = offset + 1;
                records.push(record);
            }
        }
        let mut polled = self.assigned.take_report();
        polled.records = records;
        Ok(polled)
    }

    /// Polls the group, and updates the partitions that this member owns. Returns the group's
    /// version.
    async fn poll_group(&mut self) -> Result<i64, PostgresError> {
        let start = self.options.start;
        let polling = self
            .feed
            .poll_group(&self.group, self.member, &self.topics, start);
        let polled = polling.await?;
        self.heard = Some((Instant::now(), polled.version));
        self.assigned.update(&polled.owned, |at| {
            let progress = polled.progress.get(at).copied().unwrap_or_default();
            (progress.cursor(), progress.committed())
        });
        let assigned = &self.assigned;
        self.unsaved.retain(|at| assigned.get(at).is_some());
        Ok(polled.version)
    }

    /// Applies the policy for lost offsets. Done before anything is returned, so that an error
    /// loses no record.
    fn check_offsets(&mut self, found: &mut [Found]) -> Result<(), FeedError> {
        for Found { at, now, records } in found {
            let Some(assigned) = self.assigned.get_mut(at) else {
                continue;
            };
            let Some(now) = *now else {
                // Until it is created anew.
                records.clear();
                continue;
            };
            let cursor = &mut assigned.cursor;
            let same = cursor.topic == now.topic;
            if same && (now.first..=now.next).contains(&cursor.next) {
                continue;
            }
            let offset = |number: i64| Offset(number.unsigned_abs().into());
            let resumed = match self.options.on_lost_offset {
                OnLostOffset::Fail => {
                    return Err(FeedError::OffsetLost {
                        topic: at.topic.clone(),
                        partition: at.partition,
                        wanted: offset(cursor.next),
                        earliest: offset(now.first),
                    });
                }
                OnLostOffset::Earliest => now.first,
                OnLostOffset::Latest => now.next,
            };
            let committed = offset(cursor.next.saturating_sub(1).max(0));
            (cursor.topic, cursor.next) = (now.topic, resumed);
            let reset = OffsetReset::new(at.clone(), committed, offset(resumed));
            self.assigned.note_reset(reset);
            records.clear();
            self.unsaved.push(at.clone());
        }
        Ok(())
    }

    /// Stores resets in the group's progress. With the old progress, every commit would look like a
    /// step back.
    async fn save_resets(&mut self) -> Result<(), PostgresError> {
        if self.unsaved.is_empty() {
            return Ok(());
        }
        let assigned = &self.assigned;
        let unsaved = self.unsaved.iter();
        let unsaved = unsaved.filter_map(|at| Some((at, *assigned.get(at)?)));
        let query = self.bind(&self.feed.shared.statements.reset, &unsaved.collect());
        self.feed.execute("reset offsets", query).await?;
        self.unsaved.clear();
        Ok(())
    }

    /// A statement about partitions that this member owns, with the finished offsets.
    fn bind<'q>(
        &self,
        statement: &sqlx::SqlStr,
        partitions: &BTreeMap<&TopicPartition, AssignedPartition<Cursor>>,
    ) -> sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments> {
        let names: Vec<String> = partitions.keys().map(|at| at.topic.to_string()).collect();
        let numbers: Vec<i32> = partitions.keys().map(|at| number(at)).collect();
        let assigned = partitions.values();
        let generations = assigned
            .clone()
            .map(|assigned| stored_generation(assigned.generation));
        let topics = assigned.clone().map(|assigned| assigned.cursor.topic);
        let next = assigned.map(|assigned| assigned.cursor.next);
        sqlx::query(statement.clone())
            .bind(self.group.as_str().to_owned())
            .bind(stored_id(self.member))
            .bind(names)
            .bind(numbers)
            .bind(topics.collect::<Vec<_>>())
            .bind(generations.collect::<Vec<_>>())
            .bind(next.collect::<Vec<_>>())
    }

    /// Commits, and returns the partitions that are still assigned to this member. `published` has
    /// the times of the finished records, in microseconds: a record of a topic that was created
    /// again has another time.
    async fn commit_assigned(
        &self,
        finished: &BTreeMap<&TopicPartition, AssignedPartition<Cursor>>,
        published: Vec<i64>,
    ) -> Result<Vec<(String, i32)>, PostgresError> {
        if finished.is_empty() {
            return Ok(Vec::new());
        }
        let query = self.bind(&self.feed.shared.statements.commit, finished);
        let query = query.bind(published);
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
            if !polled.is_empty() || rest.is_zero() {
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
        let mut last: BTreeMap<&TopicPartition, (AssignedPartition<Cursor>, &Position)> =
            BTreeMap::new();
        for position in finished {
            let Some(assigned) = self.assigned.get(&position.partition) else {
                continue;
            };
            let next = i64::try_from(position.offset.0).unwrap_or(i64::MAX - 1) + 1;
            let mut finished = *assigned;
            finished.cursor.next = next;
            let furthest = last
                .entry(&position.partition)
                .or_insert((finished, position));
            if furthest.0.cursor.next < next {
                *furthest = (finished, position);
            }
        }
        let published = last.values().map(|(_, at)| at.timestamp.as_micros());
        let published = published.collect();
        let last = last.into_iter().map(|(at, (finished, _))| (at, finished));
        let last: BTreeMap<&TopicPartition, AssignedPartition<Cursor>> = last.collect();
        let committed = self.commit_assigned(&last, published).await?;
        let outcome = |position: &Position| {
            let TopicPartition { topic, partition } = &position.partition;
            let is_this = |(name, at): &(String, i32)| {
                name == topic.as_str() && u32::try_from(*at) == Ok(*partition)
            };
            let assigned = last.contains_key(&position.partition);
            if assigned && committed.iter().any(is_this) {
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
        self.feed.leave_group(&self.group, self.member).await?;
        self.feed.wake();
        Ok(())
    }
}
