//! Being a member: joining, heartbeats, and what they bring and take.

use std::time::Duration;

use metrics::counter;
use stockade_change_feed::TopicPartition;
use stockade_change_feed::time::Backoff;

use super::KafkaSubscription;
use super::held::{Former, Held, State};
use super::work::{Action, Done};
use crate::error::{Effect, KafkaError};
use crate::group::{Assignment, Event, Member};
use crate::offsets::Claim;

const ASSIGNED: &str = "stockade_kafka_partitions_assigned_total";
const REVOKED: &str = "stockade_kafka_partitions_revoked_total";
pub(super) const JOIN: &str = "join group";
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(50);
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// What is known of the membership while the member itself may be at work.
pub(super) struct Membership {
    /// None while it is at work.
    pub(super) member: Option<Box<Member>>,
    pub(super) claim: Claim,
    pub(super) phase: Phase,
    /// When to say the next thing to the group.
    due: Duration,
    /// When the group heard of this member last, as far as it has said so.
    heard: Duration,
    /// Whether revocations are named and have to be acknowledged.
    acknowledges: bool,
    /// Whether the group has to be told what is read.
    to_acknowledge: bool,
    backoff: Backoff,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Not a member, or not any more.
    Outside,
    Inside,
    /// A member that has to join again, and may have less then.
    Rejoining,
}

impl Membership {
    pub(super) fn new(member: Member) -> Self {
        Self {
            claim: member.claim(),
            member: Some(Box::new(member)),
            phase: Phase::Outside,
            due: Duration::ZERO,
            heard: Duration::ZERO,
            acknowledges: false,
            to_acknowledge: false,
            backoff: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE),
        }
    }

    /// Whether the group names what is to be let go of, topics that were created anew among it.
    pub(super) fn names_revocations(&self) -> bool {
        self.acknowledges
    }

    /// Has the next heartbeat sent at once.
    pub(super) fn hurry(&mut self) {
        self.due = Duration::ZERO;
    }

    /// When there is something to say, if nothing is being said.
    pub(super) fn next(&self) -> Option<Duration> {
        self.member.is_some().then_some(self.due)
    }
}

impl KafkaSubscription {
    /// Whether records may be delivered: while the group has heard of this member, it gives its
    /// partitions to nobody else.
    pub(super) fn may_deliver(&self, now: Duration) -> bool {
        let silent = now.saturating_sub(self.membership.heard);
        self.membership.phase == Phase::Inside && silent < self.timing.session
    }

    /// Says what is due to the group.
    pub(super) fn start_membership(&mut self, now: Duration) {
        let Some(action) = self.action(now) else {
            return;
        };
        let Some(mut member) = self.membership.member.take() else {
            return;
        };
        if matches!(action, Action::Acknowledge(_)) {
            self.membership.to_acknowledge = false;
        }
        let work = async move {
            let outcome = match &action {
                Action::Join => member.join().await,
                Action::Beat => member.beat().await,
                Action::Acknowledge(owned) => member.acknowledge(owned.clone()).await,
            };
            let began = now;
            Done::Membership {
                member,
                action,
                began,
                outcome,
            }
        };
        self.work.push(Box::pin(work));
    }

    fn action(&self, now: Duration) -> Option<Action> {
        let membership = &self.membership;
        let due = now >= membership.due;
        // A commit that is under way must not come after others were let in.
        let settled = self.committing.is_none();
        match membership.phase {
            Phase::Outside => due.then_some(Action::Join),
            Phase::Rejoining => (due && settled).then_some(Action::Join),
            Phase::Inside if membership.to_acknowledge && self.leaving.is_empty() && settled => {
                let owned = self.held.iter().map(|(at, held)| (at.clone(), held.id));
                Some(Action::Acknowledge(owned.collect()))
            }
            Phase::Inside => due.then_some(Action::Beat),
        }
    }

    /// Takes in what the group has said.
    pub(super) fn note_membership(
        &mut self,
        member: Box<Member>,
        action: &Action,
        began: Duration,
        outcome: Result<Event, KafkaError>,
    ) {
        let now = self.client.clock().monotonic();
        let membership = &mut self.membership;
        membership.claim = member.claim();
        membership.acknowledges = member.acknowledges();
        let interval = member.interval();
        membership.member = Some(member);
        let event = match outcome {
            Ok(event) => event,
            Err(error) => return self.note_silence(action, error, now),
        };
        self.trouble.over(JOIN);
        let membership = &mut self.membership;
        membership.backoff.reset();
        membership.due = began.saturating_add(interval);
        // A join is answered when the others have joined as well.
        membership.heard = if *action == Action::Join { now } else { began };
        match event {
            Event::Steady if *action == Action::Join => membership.phase = Phase::Inside,
            Event::Steady => {}
            Event::Rebalancing => {
                membership.phase = Phase::Rejoining;
                membership.due = now;
            }
            Event::Assigned(assignment) => {
                membership.phase = Phase::Inside;
                if *action == Action::Join {
                    membership.due = now.saturating_add(interval);
                }
                self.assign(assignment);
            }
            Event::Expelled => {
                tracing::warn!(group = %self.group, "the group has given this member up");
                self.expel();
            }
        }
    }

    fn note_silence(&mut self, action: &Action, error: KafkaError, now: Duration) {
        let membership = &mut self.membership;
        membership.due = now.saturating_add(membership.backoff.pause());
        if matches!(action, Action::Acknowledge(_)) {
            membership.to_acknowledge = true;
        }
        if error.is_transient() {
            self.trouble.note(JOIN, now, error);
        } else {
            self.failed = Some(error.during(JOIN, Effect::None));
        }
    }

    fn assign(&mut self, assignment: Assignment) {
        let Assignment {
            partitions,
            continuous,
        } = assignment;
        let acknowledges = self.membership.acknowledges;
        let kept = |at: &TopicPartition, held: &Held| {
            let other = |id: uuid::Uuid| !id.is_nil() && !held.id.is_nil() && id != held.id;
            continuous && partitions.get(at).is_some_and(|id| !other(*id))
        };
        let gone = self.held.iter().filter(|(at, held)| !kept(at, held));
        let gone: Vec<TopicPartition> = gone.map(|(at, _)| at.clone()).collect();
        for at in &gone {
            self.lose(at, acknowledges);
        }
        let mut new = 0;
        for (at, id) in partitions {
            if !self.held.contains_key(&at) {
                self.tags += 1;
                self.held.insert(at, Held::new(self.tags, id));
                new += 1;
            }
        }
        self.membership.to_acknowledge |= acknowledges && (new > 0 || !gone.is_empty());
        let group = self.group.as_str().to_owned();
        counter!(ASSIGNED, "group" => group).increment(new);
        tracing::debug!(group = %self.group, new, gone = gone.len(), "partitions were assigned");
    }

    /// Everything is others' by now.
    pub(super) fn expel(&mut self) {
        let held: Vec<TopicPartition> = self.held.keys().cloned().collect();
        for at in held {
            self.lose(&at, false);
        }
        self.leaving.clear();
        let membership = &mut self.membership;
        membership.phase = Phase::Outside;
        membership.to_acknowledge = false;
        membership.due = self.client.clock().monotonic();
    }

    /// Lets go of a partition. If it may stay a while, what is finished of it can be committed
    /// until the poll after the one that reports it.
    fn lose(&mut self, at: &TopicPartition, may_stay: bool) {
        let Some(held) = self.held.remove(at) else {
            return;
        };
        let group = self.group.as_str().to_owned();
        counter!(REVOKED, "group" => group).increment(1);
        self.report.resets.retain(|reset| reset.partition != *at);
        if held.state == State::Unopened {
            return;
        }
        self.former.insert(at.clone(), Former::from(&held));
        // What was never reported as gained need not be reported as lost.
        let reported = self.report.gained.len();
        self.report.gained.retain(|gained| gained.partition != *at);
        if self.report.gained.len() < reported {
            return;
        }
        self.report.lost.push(at.clone());
        if may_stay {
            self.leaving.insert(at.clone(), held);
        }
    }
}
