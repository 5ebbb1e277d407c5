//! One member of a group.

use std::time::Duration;

use async_trait::async_trait;

use super::log::{Cursor, Log, Partition};
use super::{GroupOfReaders, MemoryFeed, State};
use crate::error::FeedError;
use crate::feed::{
    Group, OffsetReset, OnLostOffset, PollLimits, Polled, Start, SubscribeOptions, Subscription,
};
use crate::membership::{AssignedPartitions, MemberId, MemberPoll};
use crate::record::{Offset, Position, Record, Topic, TopicPartition};
use crate::time::Timestamp;

/// A member of a group. When dropped, it stays a member until the session timeout.
pub(super) struct MemorySubscription {
    feed: MemoryFeed,
    group: Group,
    topics: Vec<Topic>,
    options: SubscribeOptions,
    member: MemberId,
    assigned: AssignedPartitions<Cursor>,
}

impl MemorySubscription {
    pub(super) fn new(
        feed: MemoryFeed,
        group: Group,
        topics: Vec<Topic>,
        options: SubscribeOptions,
        member: MemberId,
    ) -> Self {
        Self {
            feed,
            group,
            topics,
            options,
            member,
            assigned: AssignedPartitions::default(),
        }
    }

    /// Returns what is there, without waiting. There is no await between a change of this state and
    /// the return, which makes `poll` cancel-safe.
    fn poll_now(&mut self, limits: &PollLimits) -> Result<Polled, FeedError> {
        let feed = self.feed.clone();
        let mut state = feed.lock();
        let State {
            log,
            groups,
            session_timeout,
            ..
        } = &mut *state;
        let group = groups.entry(self.group.clone()).or_default();
        let topics = group.state.topics().chain(&self.topics);
        let changes = group.state.poll(&MemberPoll {
            id: self.member,
            topics: &self.topics,
            partitions: &log.sizes(topics),
            // The wall clock may be set back, or forward.
            now: Timestamp::EPOCH.plus(feed.shared.clock.monotonic()),
            session_timeout: *session_timeout,
        });
        if changes.others_should_poll {
            feed.wake();
        }
        self.note_assignment(group, log);
        let records = if limits.records == 0 {
            Vec::new()
        } else {
            let in_turn = self.assigned.in_turn(&limits.paused);
            self.check_offsets(group, log, &in_turn)?;
            self.read(log, limits, in_turn)
        };
        Ok(Polled {
            records,
            ..self.assigned.take_report()
        })
    }

    fn note_assignment(&mut self, group: &mut GroupOfReaders, log: &Log) {
        let owned = group.state.owned_by(self.member);
        let (progress, start) = (&mut group.progress, self.options.start);
        self.assigned.update(&owned, |at| {
            let partition = log.partition(at);
            let committed = match (progress.get(at), start) {
                (Some(cursor), _) => Some(*cursor),
                (None, Start::Earliest) => None,
                (None, Start::Latest) => {
                    let cursor = Cursor::at(partition.map_or(0, Partition::end));
                    progress.insert(at.clone(), cursor);
                    Some(cursor)
                }
            };
            let first = Cursor::at(partition.map_or(0, Partition::first));
            let last = committed.and_then(|cursor| cursor.next.checked_sub(1));
            let last = last.map(|offset| Offset(offset.into()));
            (committed.unwrap_or(first), last)
        });
    }

    /// Applies the policy for lost offsets. Done before anything is read, so that an error loses no
    /// record.
    fn check_offsets(
        &mut self,
        group: &mut GroupOfReaders,
        log: &Log,
        partitions: &[TopicPartition],
    ) -> Result<(), FeedError> {
        for at in partitions {
            let (Some(assigned), Some(partition)) = (self.assigned.get_mut(at), log.partition(at))
            else {
                continue;
            };
            let lost = assigned.cursor.next;
            if partition.holds(assigned.cursor) {
                continue;
            }
            let resumed = match self.options.on_lost_offset {
                OnLostOffset::Fail => {
                    return Err(FeedError::OffsetLost {
                        topic: at.topic.clone(),
                        partition: at.partition,
                        wanted: Offset(lost.into()),
                        earliest: Offset(partition.first().into()),
                    });
                }
                OnLostOffset::Earliest => partition.first(),
                OnLostOffset::Latest => partition.end(),
            };
            assigned.cursor = Cursor::at(resumed);
            // The old progress would take every commit in a topic created anew for a step back.
            group.progress.insert(at.clone(), assigned.cursor);
            let committed = Offset(lost.saturating_sub(1).into());
            let reset = OffsetReset::new(at.clone(), committed, Offset(resumed.into()));
            self.assigned.note_reset(reset);
        }
        Ok(())
    }

    fn read(
        &mut self,
        log: &Log,
        limits: &PollLimits,
        partitions: Vec<TopicPartition>,
    ) -> Vec<Record> {
        let mut records: Vec<Record> = Vec::new();
        let mut bytes = 0;
        for at in partitions {
            let (Some(assigned), Some(partition)) =
                (self.assigned.get_mut(&at), log.partition(&at))
            else {
                continue;
            };
            let cursor = &mut assigned.cursor;
            while let Some(record) = partition.get(cursor.next) {
                let over = bytes + record.bytes() > limits.bytes && !records.is_empty();
                if over || records.len() >= limits.records {
                    return records;
                }
                bytes += record.bytes();
                cursor.next += 1;
                cursor.after = Some(record.position.timestamp);
                records.push(record.clone());
            }
        }
        records
    }

    fn commit_one(&self, position: &Position, state: &mut State) -> Result<(), FeedError> {
        let at = &position.partition;
        let State { log, groups, .. } = state;
        let group = groups.entry(self.group.clone()).or_default();
        let assigned = self.assigned.get(at);
        let mine = assigned
            .is_some_and(|assigned| group.state.may_commit(self.member, at, assigned.generation));
        let read = u64::try_from(position.offset.0).ok().filter(|_| mine);
        // Otherwise it was read from a topic that was deleted since.
        let is_there = |offset: &u64| {
            let partition = log.partition(at);
            partition.is_some_and(|partition| partition.had(*offset, position.timestamp))
        };
        let Some(finished) = read.filter(is_there) else {
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
            if !polled.is_empty() || rest.is_zero() {
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
            // The state in memory is changed already.
            let _ = group.state.leave(self.member);
        }
        self.feed.wake();
        Ok(())
    }
}
