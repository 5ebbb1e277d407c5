//! One member of a group.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;

use super::group::{GroupState, MemberId};
use super::log::{Cursor, Log};
use super::{MemoryFeed, State};
use crate::error::FeedError;
use crate::feed::{
    Gained, Group, OffsetReset, OnLostOffset, PollLimits, Polled, Start, SubscribeOptions,
    Subscription,
};
use crate::record::{Offset, Position, Record, Topic, TopicPartition};

/// A member of a group. Dropped, it stays one until the session timeout.
pub(super) struct MemorySubscription {
    feed: MemoryFeed,
    group: Group,
    topics: Vec<Topic>,
    options: SubscribeOptions,
    member: MemberId,
    held: BTreeMap<TopicPartition, Held>,
    /// What the next successful poll reports.
    report: Polled,
    /// From which of its partitions the next poll reads first.
    turn: usize,
}

#[derive(Clone, Copy)]
struct Held {
    assignment: u64,
    cursor: Cursor,
}

impl MemorySubscription {
    pub(super) fn join(
        feed: MemoryFeed,
        group: &Group,
        topics: &[Topic],
        options: SubscribeOptions,
    ) -> Self {
        let now = feed.shared.clock.monotonic();
        let member = {
            let mut state = feed.lock();
            let State { log, groups, .. } = &mut *state;
            let state = groups.entry(group.clone()).or_default();
            let member = state.join(topics.to_vec(), now);
            state.balance(log);
            member
        };
        Self {
            feed,
            group: group.clone(),
            topics: topics.to_vec(),
            options,
            member,
            held: BTreeMap::new(),
            report: Polled::default(),
            turn: 0,
        }
    }

    /// What can be returned without waiting. Nothing is awaited between a change of this state
    /// and returning it, which makes `poll` cancel-safe.
    fn poll_now(&mut self, limits: &PollLimits) -> Result<Polled, FeedError> {
        let now = self.feed.shared.clock.monotonic();
        let feed = self.feed.clone();
        let mut state = feed.lock();
        let State {
            log,
            groups,
            session_timeout,
        } = &mut *state;
        let group = groups.entry(self.group.clone()).or_default();
        group.heard(self.member, &self.topics, now, *session_timeout);
        let balanced = group.balance(log);
        let dropped = group.hand_over(self.member);
        if balanced || dropped {
            feed.wake();
        }
        self.note_assignment(group, log);
        let records = if limits.records == 0 {
            Vec::new()
        } else {
            self.check_offsets(group, log, limits)?;
            self.read(log, limits)
        };
        Ok(Polled {
            records,
            ..std::mem::take(&mut self.report)
        })
    }

    fn note_assignment(&mut self, group: &mut GroupState, log: &Log) {
        let owned = group.owned_by(self.member);
        let report = &mut self.report;
        self.held.retain(|at, held| {
            let kept = owned.get(at) == Some(&held.assignment);
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
        for (at, assignment) in owned {
            let Some(partition) = log.partition(&at) else {
                continue;
            };
            self.held.entry(at.clone()).or_insert_with(|| {
                let committed = group.progress.get(&at);
                let last = committed.and_then(|cursor| cursor.next.checked_sub(1));
                let cursor = match (committed, self.options.start) {
                    (Some(cursor), _) => *cursor,
                    (None, Start::Earliest) => Cursor::at(partition.first()),
                    (None, Start::Latest) => {
                        let cursor = Cursor::at(partition.end());
                        group.progress.insert(at.clone(), cursor);
                        cursor
                    }
                };
                let last = last.map(|offset| Offset(offset.into()));
                report.gained.push(Gained::new(at, last));
                Held { assignment, cursor }
            });
        }
    }

    /// Applies the policy where reading can't go on. Before anything is read, so that an error
    /// loses no record.
    fn check_offsets(
        &mut self,
        group: &mut GroupState,
        log: &Log,
        limits: &PollLimits,
    ) -> Result<(), FeedError> {
        for (at, held) in &mut self.held {
            let Some(partition) = log.partition(at) else {
                continue;
            };
            if limits.paused.contains(at) || partition.holds(held.cursor) {
                continue;
            }
            let resumed = match self.options.on_lost_offset {
                OnLostOffset::Fail => {
                    return Err(FeedError::OffsetLost {
                        topic: at.topic.clone(),
                        partition: at.partition,
                        wanted: Offset(held.cursor.next.into()),
                        earliest: Offset(partition.first().into()),
                    });
                }
                OnLostOffset::Earliest => partition.first(),
                OnLostOffset::Latest => partition.end(),
            };
            self.report.resets.push(OffsetReset::new(
                at.clone(),
                Offset(held.cursor.next.saturating_sub(1).into()),
                Offset(resumed.into()),
            ));
            held.cursor = Cursor::at(resumed);
            // The old progress would take every commit in a topic created anew for a step back.
            group.progress.insert(at.clone(), held.cursor);
        }
        Ok(())
    }

    fn read(&mut self, log: &Log, limits: &PollLimits) -> Vec<Record> {
        let mut records: Vec<Record> = Vec::new();
        let mut bytes = 0;
        let count = self.held.len();
        let first = self.turn.checked_rem(count).unwrap_or(0);
        self.turn = self.turn.wrapping_add(1);
        let (before, from) = {
            let mut all: Vec<_> = self.held.iter_mut().collect();
            let from = all.split_off(first);
            (all, from)
        };
        for (at, held) in from.into_iter().chain(before) {
            let Some(partition) = log.partition(at) else {
                continue;
            };
            if limits.paused.contains(at) {
                continue;
            }
            while let Some(record) = partition.get(held.cursor.next) {
                let over = bytes + record.bytes() > limits.bytes && !records.is_empty();
                if over || records.len() >= limits.records {
                    return records;
                }
                bytes += record.bytes();
                held.cursor.next += 1;
                held.cursor.after = Some(record.position.timestamp);
                records.push(record.clone());
            }
        }
        records
    }

    fn commit_one(&self, position: &Position, state: &mut State) -> Result<(), FeedError> {
        let at = &position.partition;
        let State { log, groups, .. } = state;
        let group = groups.entry(self.group.clone()).or_default();
        let end = log.partition(at).map_or(0, super::log::Partition::end);
        // Beyond the end it was read from a topic that was deleted since.
        let finished = u64::try_from(position.offset.0)
            .ok()
            .filter(|offset| group.owns(self.member, at) && *offset < end);
        let Some(finished) = finished else {
            return Err(FeedError::NotAssigned {
                topic: at.topic.clone(),
                partition: at.partition,
            });
        };
        let cursor = Cursor {
            next: finished + 1,
            after: Some(position.timestamp),
        };
        let progress = group.progress.entry(at.clone()).or_insert(cursor);
        if progress.next < cursor.next {
            *progress = cursor;
        }
        Ok(())
    }
}

#[async_trait]
impl Subscription for MemorySubscription {
    async fn poll(&mut self, limits: &PollLimits) -> Result<Polled, FeedError> {
        let clock = self.feed.shared.clock.clone();
        let mut changes = self.feed.shared.changes.subscribe();
        let until = clock.monotonic().saturating_add(limits.wait);
        loop {
            changes.mark_unchanged();
            let polled = self.poll_now(limits)?;
            let rest = until.saturating_sub(clock.monotonic());
            if !is_empty(&polled) || rest.is_zero() {
                return Ok(polled);
            }
            // A long wait must not look like silence.
            let session = self.feed.lock().session_timeout;
            let nap = rest.min((session / 3).max(Duration::from_millis(1)));
            tokio::select! {
                // The sender lives in `self.feed`.
                _ = changes.changed() => {}
                () = clock.sleep(nap) => {}
            }
        }
    }

    async fn commit(
        &mut self,
        finished: &[Position],
    ) -> Result<Vec<Result<(), FeedError>>, FeedError> {
        let mut state = self.feed.lock();
        let commit = |position| self.commit_one(position, &mut state);
        Ok(finished.iter().map(commit).collect())
    }

    async fn close(self: Box<Self>) -> Result<(), FeedError> {
        if let Some(group) = self.feed.lock().groups.get_mut(&self.group) {
            group.leave(self.member);
        }
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
