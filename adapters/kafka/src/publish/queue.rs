//! What waits to be sent, by partition.
//!
//! Of each partition one batch is under way at a time, and what comes meanwhile forms the next one.
//! So the order is kept, and a batch whose reply was lost is sent again as it was, before anything
//! that follows: the broker knows it by its sequence.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use stockade_change_feed::time::Backoff;
use stockade_change_feed::{Message, Topic, TopicPartition};

use super::batch::Identity;
use super::call::Call;
use crate::cluster::Topics;

const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Requests that one leader has at a time.
const FLIGHTS: usize = 4;

/// A message that is to be sent.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) message: Message,
    /// When it was published.
    pub(super) millis: i64,
    pub(super) bytes: usize,
    pub(super) call: Arc<Call>,
    /// Its place in the call.
    pub(super) place: usize,
}

/// Messages that are sent together.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) at: TopicPartition,
    pub(super) pending: Vec<Pending>,
    /// By which a broker knows it again.
    pub(super) identity: Identity,
    /// Whether an earlier attempt may have put it into the log.
    pub(super) doubtful: bool,
}

impl Batch {
    /// As the limit of a batch counts them.
    pub(super) fn bytes(&self) -> usize {
        self.pending.iter().map(|pending| pending.bytes).sum()
    }

    fn is_abandoned(&self) -> bool {
        self.pending
            .iter()
            .all(|pending| pending.call.is_abandoned())
    }
}

/// What waits for one partition.
#[derive(Debug)]
struct Lane {
    waiting: VecDeque<Pending>,
    bytes: usize,
    /// Since when the first of them waits.
    since: Duration,
    /// A batch that may be in the log, and is to be sent again as it was.
    again: Option<Batch>,
    flying: bool,
    identity: Known,
    /// Most bytes in a batch, where the broker refused a larger one.
    most_bytes: usize,
    rest_until: Duration,
    backoff: Backoff,
}

/// Which identity the next batch of a partition has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// The publisher's, from its first sequence on.
    First,
    /// A new one: nobody knows which sequence the leader expects of the one before.
    Spoilt,
    Next(Identity),
}

impl Default for Lane {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            bytes: 0,
            since: Duration::ZERO,
            again: None,
            flying: false,
            identity: Known::First,
            most_bytes: usize::MAX,
            rest_until: Duration::ZERO,
            backoff: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE),
        }
    }
}

/// When a batch is sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Batching {
    pub(super) linger: Duration,
    pub(super) bytes: usize,
}

/// What is to be sent to one leader.
#[derive(Debug)]
pub(super) struct Flight {
    pub(super) leader: i32,
    pub(super) batches: Vec<Batch>,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    lanes: BTreeMap<TopicPartition, Lane>,
    /// The partitions that have something to send and nothing under way.
    ready: BTreeSet<TopicPartition>,
    flights: BTreeMap<i32, usize>,
    pub(super) topics: Topics,
    /// The publisher's identity, which begins in each partition.
    pub(super) identity: Option<Identity>,
    /// Who needs an identity: the publisher, or a partition.
    pub(super) unnamed: BTreeSet<Option<TopicPartition>>,
    /// Topics whose leaders are not known, or not any more.
    pub(super) unknown: BTreeSet<Topic>,
}

impl Queue {
    pub(super) fn add(&mut self, at: TopicPartition, pending: Pending, now: Duration) {
        let lane = self.lanes.entry(at.clone()).or_default();
        if lane.waiting.is_empty() {
            lane.since = now;
        }
        lane.bytes += pending.bytes;
        lane.waiting.push_back(pending);
        if !lane.flying {
            self.ready.insert(at);
        }
    }

    /// Takes what is to be sent now, and says when there may be more.
    pub(super) fn take(&mut self, now: Duration, batching: Batching) -> (Vec<Flight>, Duration) {
        let mut flights: BTreeMap<i32, Vec<Batch>> = BTreeMap::new();
        let mut next = Duration::MAX;
        for at in std::mem::take(&mut self.ready) {
            let Some(lane) = self.lanes.get_mut(&at) else {
                continue;
            };
            lane.drop_abandoned();
            if lane.is_empty() {
                continue;
            }
            let due = lane.due(batching);
            if due > now {
                next = next.min(due);
                self.ready.insert(at);
                continue;
            }
            let leader = self.topics.get(&at.topic);
            let leader = leader.and_then(|info| info.partition(at.partition));
            let leader = leader.map(|info| info.leader).filter(|leader| *leader >= 0);
            let Some(leader) = leader else {
                self.unknown.insert(at.topic.clone());
                self.ready.insert(at);
                continue;
            };
            if self
                .flights
                .get(&leader)
                .is_some_and(|flights| *flights >= FLIGHTS)
            {
                self.ready.insert(at);
                continue;
            }
            let identity = match (lane.identity, self.identity) {
                (Known::Next(identity), _) | (Known::First, Some(identity)) => identity,
                (Known::First, None) => {
                    self.unnamed.insert(None);
                    self.ready.insert(at);
                    continue;
                }
                (Known::Spoilt, _) => {
                    self.unnamed.insert(Some(at.clone()));
                    self.ready.insert(at);
                    continue;
                }
            };
            if let Some(batch) = lane.batch(&at, identity, batching.bytes) {
                lane.flying = true;
                flights.entry(leader).or_default().push(batch);
            }
        }
        let flights = flights.into_iter().map(|(leader, batches)| {
            *self.flights.entry(leader).or_default() += 1;
            Flight { leader, batches }
        });
        (flights.collect(), next)
    }

    /// A request has come to its end.
    pub(super) fn land(&mut self, leader: i32) {
        if let Some(flights) = self.flights.get_mut(&leader) {
            *flights = flights.saturating_sub(1);
        }
    }

    /// Gives an identity to who needs one.
    pub(super) fn name(&mut self, who: Option<&TopicPartition>, identity: Identity) {
        match who {
            None => self.identity = Some(identity),
            Some(at) => {
                if let Some(lane) = self.lanes.get_mut(at) {
                    lane.identity = Known::Next(identity);
                }
            }
        }
    }

    /// Goes on with a partition whose batch is settled.
    pub(super) fn go_on(&mut self, at: &TopicPartition, identity: Known) {
        let Some(lane) = self.lanes.get_mut(at) else {
            return;
        };
        lane.identity = identity;
        lane.flying = false;
        lane.backoff.reset();
        lane.rest_until = Duration::ZERO;
        if !lane.is_empty() {
            self.ready.insert(at.clone());
        }
    }

    /// Has a batch sent again, after a pause: as it was, if it may be in the log.
    pub(super) fn again(&mut self, batch: Batch, now: Duration) {
        let (at, same) = (batch.at.clone(), Known::Next(batch.identity));
        let Some(lane) = self.lanes.get_mut(&at) else {
            return;
        };
        lane.rest_until = now.saturating_add(lane.backoff.pause());
        if batch.doubtful {
            lane.flying = false;
            lane.identity = same;
            lane.again = Some(batch);
            self.ready.insert(at);
        } else {
            self.put_back(batch, same);
        }
    }

    /// Puts messages back, to be sent in other batches. They are in no log.
    pub(super) fn put_back(&mut self, batch: Batch, identity: Known) {
        let Some(lane) = self.lanes.get_mut(&batch.at) else {
            return;
        };
        for pending in batch.pending.into_iter().rev() {
            lane.bytes += pending.bytes;
            lane.waiting.push_front(pending);
        }
        lane.identity = identity;
        lane.flying = false;
        self.ready.insert(batch.at);
    }

    /// Has batches of a partition be smaller than one of so many bytes.
    pub(super) fn shrink(&mut self, at: &TopicPartition, bytes: usize) {
        if let Some(lane) = self.lanes.get_mut(at) {
            lane.most_bytes = lane.most_bytes.min(bytes / 2).max(1);
        }
    }

    /// Takes out what waits, for these topics or for all. What may be in the log stays.
    pub(super) fn give_up(&mut self, topics: Option<&[Topic]>) -> Vec<(Topic, Pending)> {
        let mut given_up = Vec::new();
        for (at, lane) in &mut self.lanes {
            if lane.flying || topics.is_some_and(|topics| !topics.contains(&at.topic)) {
                continue;
            }
            let pending = lane.waiting.drain(..);
            given_up.extend(pending.map(|pending| (at.topic.clone(), pending)));
            lane.bytes = 0;
        }
        given_up
    }

    /// Notes for everything that waits why it does.
    pub(super) fn complain(&self, why: &str) {
        for lane in self.lanes.values() {
            let again = lane.again.iter().flat_map(|batch| &batch.pending);
            for pending in again.chain(&lane.waiting) {
                pending.call.complain(why);
            }
        }
    }
}

impl Lane {
    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.again.is_none()
    }

    fn drop_abandoned(&mut self) {
        if self.again.take_if(|batch| batch.is_abandoned()).is_some() {
            // Nobody will know whether it is in the log, so its sequence is of no use.
            self.identity = Known::Spoilt;
        }
        self.waiting.retain(|pending| !pending.call.is_abandoned());
        self.bytes = self.waiting.iter().map(|pending| pending.bytes).sum();
    }

    fn due(&self, batching: Batching) -> Duration {
        let full = self.bytes >= batching.bytes || self.again.is_some();
        let linger = if full {
            Duration::ZERO
        } else {
            batching.linger
        };
        self.rest_until.max(self.since.saturating_add(linger))
    }

    /// The next batch: the one that has to be sent again, else what fits of what waits.
    fn batch(
        &mut self,
        at: &TopicPartition,
        identity: Identity,
        most_bytes: usize,
    ) -> Option<Batch> {
        if let Some(batch) = self.again.take() {
            return Some(batch);
        }
        let mut pending = Vec::new();
        let mut bytes = 0;
        let most_bytes = most_bytes.min(self.most_bytes);
        let fits = |bytes: usize, next: &Pending| bytes == 0 || bytes + next.bytes <= most_bytes;
        while let Some(next) = self.waiting.pop_front_if(|next| fits(bytes, next)) {
            self.bytes = self.bytes.saturating_sub(next.bytes);
            if next.call.send(next.place) {
                bytes += next.bytes;
                pending.push(next);
            }
        }
        if pending.is_empty() {
            return None;
        }
        Some(Batch {
            at: at.clone(),
            pending,
            identity,
            doubtful: false,
        })
    }
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
