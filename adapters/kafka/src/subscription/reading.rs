//! Fetching ahead from the leaders, and delivering what was fetched.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use metrics::counter;
use stockade_change_feed::{FeedError, Gained, PollLimits, Record, TopicPartition};

use super::KafkaSubscription;
use super::held::{Astray, FirstLook, Held, State};
use super::opening::{self, Opened, Stray, Unopened, Way};
use super::work::Done;
use crate::cluster::{PartitionInfo, Topics};
use crate::error::{Effect, KafkaError};
use crate::fetch::{self, Bounds, Outcome, Wanted};
use crate::offsets::feed_offset;

const RESETS: &str = "stockade_kafka_offset_resets_total";
const READ: &str = "read records";
pub(super) const FETCH: &str = "fetch";
const LEADERS: &str = "find leaders";
const OPEN: &str = "open partitions";
/// How long a leader may wait for a first record.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long leaders that were quicker wait for the first answers of the others.
const FAIRNESS: Duration = Duration::from_secs(1);
/// How long what is known of the leaders is good, unless a leader says otherwise.
const KNOWLEDGE: Duration = Duration::from_secs(300);

/// Who leads what, as far as is known.
#[derive(Default)]
pub(super) struct Leaders {
    topics: Topics,
    /// Rises with each answer.
    version: u64,
    /// When to ask again.
    pub(super) due: Duration,
    asking: bool,
}

impl Leaders {
    /// Who leads a partition now.
    fn of(&self, at: &TopicPartition) -> Option<PartitionInfo> {
        let info = self.topics.get(&at.topic)?.partition(at.partition)?;
        (info.leader >= 0).then_some(info)
    }
}

impl KafkaSubscription {
    /// Asks who leads what, where the answer is too old.
    pub(super) fn start_leaders(&mut self, now: Duration) {
        if self.leaders.asking || now < self.leaders.due || self.held.is_empty() {
            return;
        }
        self.leaders.asking = true;
        let (client, topics) = (self.client.clone(), self.topics.clone());
        let work = async move { Done::Leaders(client.topics(&topics).await) };
        self.work.push(Box::pin(work));
    }

    pub(super) fn note_leaders(&mut self, found: Result<Topics, KafkaError>) {
        let now = self.client.clock().monotonic();
        self.leaders.asking = false;
        match found {
            Ok(topics) => {
                self.trouble.over(LEADERS);
                self.leaders.version += 1;
                self.leaders.due = now.saturating_add(KNOWLEDGE);
                self.leaders.topics = topics;
                self.find_recreated();
            }
            Err(error) => {
                self.leaders.due = now.saturating_add(self.pauses.pause());
                self.note_trouble(LEADERS, error);
            }
        }
    }

    /// A topic that was deleted and created anew, where the group doesn't notice by itself.
    fn find_recreated(&mut self) {
        if self.membership.names_revocations() {
            return;
        }
        for (at, held) in &mut self.held {
            let now = self.leaders.topics.get(&at.topic).map(|info| info.id);
            let other = now.is_some_and(|id| !id.is_nil() && !held.id.is_nil() && id != held.id);
            if other && held.state == State::Open {
                held.stray(Astray::Recreated);
            }
        }
    }

    /// Has the leaders asked for again, before the partition is fetched again.
    fn needs_leaders(&mut self, at: &TopicPartition) {
        if let Some(held) = self.held.get_mut(at) {
            held.needs_leaders = self.leaders.version + 1;
        }
        self.hurry_leaders();
    }

    /// Has the leaders asked for again soon.
    fn hurry_leaders(&mut self) {
        let now = self.client.clock().monotonic();
        if self.leaders.due > now.saturating_add(super::membership::LONGEST_PAUSE * 2) {
            self.leaders.due = now.saturating_add(self.pauses.pause());
        }
    }

    /// Looks up where partitions begin that were assigned.
    pub(super) fn start_opening(&mut self, now: Duration) {
        if self.opening || now < self.open_at || !self.may_deliver(now) {
            return;
        }
        let new = self
            .held
            .iter()
            .filter(|(_, held)| held.state == State::Unopened);
        let new: Vec<Unopened> = new
            .map(|(at, held)| Unopened {
                at: at.clone(),
                tag: held.tag,
                former: self.former.get(at).copied(),
            })
            .collect();
        if new.is_empty() {
            return;
        }
        self.opening = true;
        let (client, claim) = (self.client.clone(), self.membership.claim.clone());
        let start = self.options.start;
        let work = async move { Done::Opened(opening::open(&client, &claim, start, &new).await) };
        self.work.push(Box::pin(work));
    }

    pub(super) fn note_opened(&mut self, opened: Result<Vec<Opened>, KafkaError>) {
        self.opening = false;
        let opened = match opened {
            Ok(opened) => opened,
            Err(error) => {
                self.client.forget_coordinator(&self.group);
                let now = self.client.clock().monotonic();
                self.open_at = now.saturating_add(self.pauses.pause());
                // A heartbeat tells whether this still is a member, and of which epoch.
                self.membership.hurry();
                return self.note_opening_trouble(error);
            }
        };
        self.trouble.over(OPEN);
        self.fair_until = self.client.clock().monotonic().saturating_add(FAIRNESS);
        for Opened {
            at,
            tag,
            id,
            from,
            committed,
            saved,
            recreated,
        } in opened
        {
            let Some(held) = self.held.get_mut(&at).filter(|held| held.tag == tag) else {
                continue;
            };
            held.open(id, &from, saved);
            if recreated {
                held.stray(Astray::Recreated);
            }
            self.report.gained.push(Gained::new(at, committed));
        }
    }

    fn note_opening_trouble(&mut self, error: KafkaError) {
        use kafka_protocol::ResponseError;
        match error.response() {
            // The heartbeat that follows finds out.
            Some(ResponseError::UnknownMemberId | ResponseError::IllegalGeneration) => {}
            _ => self.note_trouble(OPEN, error),
        }
    }

    /// Finds out where to go on where the log does not have what follows.
    pub(super) fn start_ways(&mut self, now: Duration) {
        let policy = self.options.on_lost_offset;
        for (at, held) in &mut self.held {
            let State::Astray(astray) = held.state else {
                continue;
            };
            if self.finding.contains(at) || now < held.rest_until {
                continue;
            }
            self.finding.insert(at.clone());
            let stray = Stray {
                at: at.clone(),
                tag: held.tag,
                wanted: held.position,
                astray,
            };
            let client = self.client.clone();
            let work = async move {
                let way = opening::find_way(&client, policy, &stray).await;
                Done::Way(stray, way)
            };
            self.work.push(Box::pin(work));
        }
    }

    pub(super) fn note_way(&mut self, stray: &Stray, way: Result<Way, KafkaError>) {
        let now = self.client.clock().monotonic();
        let Stray {
            at, tag, wanted, ..
        } = stray;
        self.finding.remove(at);
        let Some(held) = self.held.get_mut(at).filter(|held| held.tag == *tag) else {
            return;
        };
        match way {
            Ok(Way::On) => held.resume(),
            Ok(Way::At { id, reset, from }) => {
                self.tags += 1;
                held.reset(self.tags, id, from);
                self.report.resets.push(reset);
                counter!(RESETS, "group" => self.group.as_str().to_owned()).increment(1);
                tracing::warn!(group = %self.group, partition = %at, wanted, from, "the offset is gone");
                self.skip_at = now;
            }
            Ok(Way::Nowhere { earliest }) => held.state = State::Lost { earliest },
            Err(error) => {
                held.rest_until = now.saturating_add(self.pauses.pause());
                self.note_trouble(OPEN, error);
            }
        }
    }

    /// Fetches ahead from every leader that is not asked already.
    pub(super) fn start_fetching(&mut self, now: Duration, limits: &PollLimits) {
        if limits.records == 0 || !self.may_deliver(now) {
            return;
        }
        let mut leaders: BTreeMap<i32, BTreeMap<TopicPartition, (u64, Wanted)>> = BTreeMap::new();
        let mut busy: BTreeSet<i32> = BTreeSet::new();
        let mut leaderless = false;
        let buffered: usize = self.held.values().map(|held| held.buffered).sum();
        if buffered >= self.settings.buffer_bytes {
            return;
        }
        for (at, held) in &self.held {
            let known = self.leaders.version >= held.needs_leaders;
            if held.state != State::Open || !known || now < held.rest_until {
                continue;
            }
            let Some(leader) = self.leaders.of(at) else {
                leaderless = true;
                continue;
            };
            if held.buffered >= self.settings.partition_bytes / 2 {
                // There is something to deliver soon, after which there is room.
                if !limits.paused.contains(at) {
                    busy.insert(leader.leader);
                }
                continue;
            }
            let wanted = Wanted {
                id: held.id,
                from: held.position,
                leader_epoch: leader.epoch,
                last_epoch: held.last_epoch(),
            };
            let partitions = leaders.entry(leader.leader).or_default();
            partitions.insert(at.clone(), (held.tag, wanted));
        }
        if leaderless {
            self.hurry_leaders();
        }
        let room = self.settings.buffer_bytes - buffered;
        let bytes = room / leaders.len().max(1);
        for (leader, wanted) in leaders {
            if self.fetching.contains(&leader) {
                continue;
            }
            let new = |at| {
                self.held
                    .get(at)
                    .is_some_and(|held| held.first_look != FirstLook::Over)
            };
            let wait = match busy.contains(&leader) || wanted.keys().any(new) {
                true => Duration::ZERO,
                false => PATIENCE,
            };
            let bounds = Bounds {
                wait,
                bytes: size(bytes),
                partition_bytes: size(self.settings.partition_bytes),
            };
            self.start_fetch(leader, wanted, bounds);
        }
    }

    fn start_fetch(
        &mut self,
        leader: i32,
        wanted: BTreeMap<TopicPartition, (u64, Wanted)>,
        bounds: Bounds,
    ) {
        self.fetching.insert(leader);
        for at in wanted.keys() {
            if let Some(held) = self.held.get_mut(at)
                && held.first_look == FirstLook::Due
            {
                held.first_look = FirstLook::Asked;
            }
        }
        let client = self.client.clone();
        let asked = wanted.iter();
        let asked = asked
            .map(|(at, (tag, wanted))| (at.clone(), (*tag, wanted.from)))
            .collect();
        let wanted = wanted
            .into_iter()
            .map(|(at, (_, wanted))| (at, wanted))
            .collect();
        let work = async move {
            let outcome = fetch::fetch(&client, leader, &wanted, bounds).await;
            Done::Fetched {
                leader,
                asked,
                outcome,
            }
        };
        self.work.push(Box::pin(work));
    }

    pub(super) fn note_fetched(
        &mut self,
        leader: i32,
        asked: &BTreeMap<TopicPartition, (u64, i64)>,
        outcome: Result<Vec<(TopicPartition, Outcome)>, KafkaError>,
    ) {
        self.fetching.remove(&leader);
        for at in asked.keys() {
            if let Some(held) = self.held.get_mut(at)
                && held.first_look == FirstLook::Asked
            {
                held.first_look = FirstLook::Over;
            }
        }
        let outcomes = match outcome {
            Ok(outcomes) => outcomes,
            Err(error) => {
                for at in asked.keys() {
                    self.needs_leaders(at);
                }
                return self.note_trouble(FETCH, error);
            }
        };
        let mut trouble = None;
        for (at, outcome) in outcomes {
            let (tag, from) = asked.get(&at).copied().unwrap_or_default();
            let current = |held: &&mut Held| {
                held.tag == tag && held.position == from && held.state == State::Open
            };
            let Some(held) = self.held.get_mut(&at).filter(current) else {
                continue;
            };
            match outcome {
                Outcome::Read(read) => held.fill(read),
                Outcome::OutOfRange => held.stray(Astray::OutOfRange),
                Outcome::Truncated(end) => held.stray(Astray::Truncated(end)),
                Outcome::Moved(error) | Outcome::Failed(error) => {
                    self.needs_leaders(&at);
                    trouble = Some(error);
                }
            }
        }
        match trouble {
            Some(error) => self.note_trouble(FETCH, error),
            None => {
                self.pauses.reset();
                self.trouble.over(FETCH);
            }
        }
    }

    fn note_trouble(&mut self, kind: &'static str, error: KafkaError) {
        tracing::debug!(group = %self.group, %error, kind, "trouble");
        if error.is_transient() {
            let now = self.client.clock().monotonic();
            self.trouble.note(kind, now, error);
        } else {
            self.failed = Some(error.during(READ, Effect::None));
        }
    }

    /// An error where somebody has to decide about a partition that is not paused.
    pub(super) fn check_offsets(&self, limits: &PollLimits) -> Result<(), FeedError> {
        for (at, held) in &self.held {
            if let State::Lost { earliest } = held.state
                && !limits.paused.contains(at)
            {
                return Err(FeedError::OffsetLost {
                    topic: at.topic.clone(),
                    partition: at.partition,
                    wanted: feed_offset(held.position),
                    earliest: feed_offset(earliest),
                });
            }
        }
        Ok(())
    }

    /// Whether records wait until other leaders have answered for the first time: a member that
    /// always has records would hardly ever look at what comes later.
    pub(super) fn is_unfair(&self, now: Duration, limits: &PollLimits) -> bool {
        let unheard = |(at, held): (&TopicPartition, &Held)| {
            held.first_look == FirstLook::Asked && !limits.paused.contains(at)
        };
        now < self.fair_until && self.held.iter().any(unheard)
    }

    /// Takes records from the partitions in turn.
    pub(super) fn deliver(&mut self, limits: &PollLimits) -> Vec<Record> {
        let mut records: Vec<Record> = Vec::new();
        let mut bytes = 0;
        let ready = self.held.iter_mut();
        let mut ready: Vec<(&TopicPartition, &mut Held)> = ready
            .filter(|(at, held)| held.has_records() && !limits.paused.contains(at))
            .collect();
        let turn = self.turn.checked_rem(ready.len()).unwrap_or_default();
        ready.rotate_left(turn);
        for (_, held) in ready {
            while records.len() < limits.records {
                let room = match records.is_empty() {
                    true => usize::MAX,
                    false => limits.bytes.saturating_sub(bytes),
                };
                let Some(record) = held.deliver(room) else {
                    break;
                };
                bytes += record.bytes();
                records.push(record);
            }
        }
        if !records.is_empty() {
            self.turn = self.turn.wrapping_add(1);
        }
        records
    }
}

fn size(bytes: usize) -> i32 {
    i32::try_from(bytes).unwrap_or(i32::MAX)
}
