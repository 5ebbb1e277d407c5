//! What holds for every group, whatever its members do and in whatever order.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::feed::Polled;

const TIMEOUT: Duration = Duration::from_secs(30);
const MEMBERS: u64 = 4;

#[derive(Clone, Copy, Debug)]
enum Step {
    Poll(u64),
    /// The poll took effect, and its answer was lost.
    PollUnanswered(u64),
    Leave(u64),
    Wait(Duration),
    /// The topics have other numbers of partitions.
    Resize(u32, u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let member = || 0..MEMBERS;
    let step = prop_oneof![
        8 => member().prop_map(Step::Poll),
        1 => member().prop_map(Step::PollUnanswered),
        1 => member().prop_map(Step::Leave),
        3 => (1_u64..40).prop_map(|secs| Step::Wait(Duration::from_secs(secs))),
        1 => (0_u32..7, 0_u32..5).prop_map(|(a, b)| Step::Resize(a, b)),
    ];
    prop::collection::vec(step, 1..60)
}

/// What each member reads: one topic, the other, or both. Often all read the same.
fn reads() -> impl Strategy<Value = Vec<Vec<Topic>>> {
    let topics = prop::sample::subsequence(vec![topic("a"), topic("b")], 1..=2).boxed();
    prop_oneof![
        topics
            .clone()
            .prop_map(|topics| vec![topics; MEMBERS as usize]),
        prop::collection::vec(topics, MEMBERS as usize),
    ]
}

fn topic(name: &str) -> Topic {
    Topic::new(name).unwrap()
}

/// A group whose rows are stored elsewhere, and its members.
struct Model {
    reads: Vec<Vec<Topic>>,
    partitions: BTreeMap<Topic, u32>,
    now: Timestamp,
    rows: (
        BTreeMap<MemberId, Member>,
        BTreeMap<TopicPartition, Ownership>,
    ),
    assigned: BTreeMap<MemberId, AssignedPartitions<()>>,
    /// Members that had no answer to their last poll.
    unanswered: BTreeSet<MemberId>,
    /// Who had a partition in a generation.
    history: BTreeMap<(TopicPartition, Generation), MemberId>,
}

impl Model {
    fn new(reads: Vec<Vec<Topic>>) -> Self {
        Self {
            reads,
            partitions: BTreeMap::from([(topic("a"), 5), (topic("b"), 2)]),
            now: Timestamp::from_millis(1_764_000_000_000),
            rows: (BTreeMap::new(), BTreeMap::new()),
            assigned: BTreeMap::new(),
            unanswered: BTreeSet::new(),
            history: BTreeMap::new(),
        }
    }

    fn load(&self) -> GroupState {
        let (members, owners) = self.rows.clone();
        GroupState::new(members.into_values(), owners)
    }

    fn write(&mut self, changes: Changes) {
        let Changes {
            member,
            removed,
            partitions,
            others_should_poll: _,
        } = changes;
        let (members, rows) = &mut self.rows;
        members.extend(member.map(|member| (member.id, member)));
        members.retain(|id, _| !removed.contains(id));
        rows.extend(partitions);
    }

    /// Says whether the poll changed anything but the sign of life.
    fn poll(&mut self, id: MemberId) -> (GroupState, bool) {
        let mut group = self.load();
        let changes = group.poll(&MemberPoll {
            id,
            topics: &self.reads[id.0 as usize],
            partitions: &self.partitions,
            now: self.now,
            session_timeout: TIMEOUT,
        });
        let changed = changes.others_should_poll;
        self.write(changes);
        (group, changed)
    }

    fn answer(&mut self, id: MemberId, group: &GroupState) -> Polled {
        self.unanswered.remove(&id);
        let assigned = self.assigned.entry(id).or_default();
        assigned.update(&group.owned_by(id), |_| ((), None));
        assigned.take_report()
    }

    fn take(&mut self, step: Step) -> Result<(), TestCaseError> {
        let before = self.load();
        match step {
            Step::Poll(id) => {
                let (group, _) = self.poll(MemberId(id));
                self.answer(MemberId(id), &group);
            }
            Step::PollUnanswered(id) => {
                self.poll(MemberId(id));
                self.unanswered.insert(MemberId(id));
            }
            Step::Leave(id) => {
                let changes = before.clone().leave(MemberId(id));
                self.write(changes);
                self.assigned.remove(&MemberId(id));
            }
            Step::Wait(time) => self.now = self.now.plus(time),
            Step::Resize(a, b) => {
                self.partitions = BTreeMap::from([(topic("a"), a), (topic("b"), b)]);
            }
        }
        self.check(&before)
    }

    fn check(&mut self, before: &GroupState) -> Result<(), TestCaseError> {
        let group = self.load();
        for (at, now) in &group.owners {
            let was = before.owners.get(at).copied().unwrap_or_default();
            let assigned = now.owner.is_some() && now.owner != was.owner;
            let expected = was.generation.0 + u64::from(assigned);
            // The owner expired, and took it again.
            let again = was
                .owner
                .is_some_and(|owner| !group.members.contains_key(&owner));
            prop_assert!(
                now.generation.0 == expected || again,
                "{at}: {was:?}, then {now:?}"
            );
            if let Some(owner) = now.owner {
                let key = (at.clone(), now.generation);
                let first = *self.history.entry(key).or_insert(owner);
                prop_assert_eq!(first, owner, "{} has one owner in a generation", at);
            }
        }
        let mut holders: BTreeMap<&TopicPartition, MemberId> = BTreeMap::new();
        let mut believers: BTreeMap<&TopicPartition, MemberId> = BTreeMap::new();
        for (id, assigned) in &self.assigned {
            let member = group.members.get(id);
            let silence = member.and_then(|member| self.now.since(member.last_heard));
            let alive = silence.is_some_and(|silence| silence < TIMEOUT);
            for (at, assigned) in assigned.iter() {
                if group.may_commit(*id, at, assigned.generation) {
                    let other = holders.insert(at, *id);
                    prop_assert_eq!(other, None, "{} and {:?} may commit {}", id.0, other, at);
                }
                if alive && !self.unanswered.contains(id) {
                    let other = believers.insert(at, *id);
                    prop_assert_eq!(other, None, "{} and {:?} read {}", id.0, other, at);
                }
            }
        }
        Ok(())
    }

    /// Lets the members that there are poll in turn until nothing changes. Returns the partitions
    /// that each lost and gained.
    fn settle(&mut self) -> Result<BTreeMap<MemberId, (usize, usize)>, TestCaseError> {
        let members: Vec<MemberId> = self.rows.0.keys().copied().collect();
        let mut moved: BTreeMap<MemberId, (usize, usize)> = BTreeMap::new();
        for round in 0.. {
            prop_assert!(round < 4, "it is not settled after {} rounds", round);
            let mut changed = false;
            for id in &members {
                let (group, some) = self.poll(*id);
                changed |= some;
                let polled = self.answer(*id, &group);
                let moved = moved.entry(*id).or_default();
                moved.0 += polled.lost.len();
                moved.1 += polled.gained.len();
                let group = self.load();
                self.check(&group)?;
            }
            if !changed {
                break;
            }
        }
        Ok(moved)
    }
}

fn loads(group: &GroupState) -> BTreeMap<MemberId, usize> {
    let members = group.members.keys();
    members.map(|id| (*id, group.owned_by(*id).len())).collect()
}

proptest! {
    /// Also that the changes are all that has to be written, because each step loads what the ones
    /// before it have written.
    #[test]
    fn a_partition_is_read_by_one_member(reads in reads(), steps in steps()) {
        let mut model = Model::new(reads);
        for step in steps {
            model.take(step)?;
        }
    }

    #[test]
    fn partitions_are_shared_evenly_in_the_end(reads in reads(), steps in steps()) {
        let mut model = Model::new(reads);
        for step in steps {
            model.take(step)?;
        }
        // Silent members expire with the first poll, and join again with their own.
        model.settle()?;
        let group = model.load();
        for (topic, count) in &model.partitions {
            let is_read = group.members.values().any(|member| member.topics.contains(topic));
            let owned = group.owners.iter().filter(|(at, ownership)| {
                at.topic == *topic && ownership.owner.is_some()
            });
            prop_assert_eq!(owned.count(), if is_read { *count as usize } else { 0 });
        }
        for (at, ownership) in &group.owners {
            let owner = ownership.owner.map(|owner| &group.members[&owner]);
            prop_assert!(owner.is_none_or(|owner| owner.topics.contains(&at.topic)));
        }
        let loads = loads(&group);
        for (a, b) in group.members.values().zip(group.members.values().skip(1)) {
            let (load_a, load_b) = (loads[&a.id], loads[&b.id]);
            prop_assert!(a.topics != b.topics || load_a.abs_diff(load_b) <= 1, "{:?}", loads);
        }
    }

    /// A settled group in which one member comes or goes.
    #[test]
    fn nothing_moves_without_need(
        reads in reads(),
        before in prop::collection::btree_set(0..MEMBERS, 1..4),
        changes in 0..MEMBERS,
    ) {
        let mut model = Model::new(reads);
        for id in &before {
            model.take(Step::Poll(*id))?;
        }
        model.settle()?;
        let moved: BTreeSet<_> = model.settle()?.into_values().collect();
        prop_assert_eq!(moved, BTreeSet::from([(0, 0)]), "it was settled");
        let owners = model.rows.1.clone();
        if before.contains(&changes) {
            model.take(Step::Leave(changes))?;
        } else {
            model.take(Step::Poll(changes))?;
        }
        let alike = model.reads.iter().collect::<BTreeSet<_>>().len() == 1;
        for (id, (lost, gained)) in model.settle()? {
            // One that reads other topics than the rest may have to make room.
            let needed = !alike || lost == 0 || gained == 0;
            prop_assert!(needed, "{id:?} lost {lost} and gained {gained}");
        }
        for (at, ownership) in &model.rows.1 {
            let before = owners.get(at).copied().unwrap_or_default();
            let assignments = ownership.generation.0 - before.generation.0;
            prop_assert!(assignments <= 1, "{at} moved {assignments} times");
        }
    }
}
