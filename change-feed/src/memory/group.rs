//! Groups: who is a member, who reads which partition, and what is finished.

use std::collections::BTreeMap;
use std::time::Duration;

use super::log::{Cursor, Log};
use crate::record::{Topic, TopicPartition};

/// Names a member within its group; never used again.
pub(super) type MemberId = u64;

/// A group of readers.
#[derive(Debug, Default)]
pub(super) struct GroupState {
    members: BTreeMap<MemberId, Member>,
    joined: MemberId,
    /// Who should read what. A partition changes hands when its owner polls and lets go.
    wanted: BTreeMap<TopicPartition, MemberId>,
    owners: BTreeMap<TopicPartition, Owner>,
    assignments: u64,
    /// For which version of the log `wanted` was worked out; 0 when members changed since.
    balanced_for: u64,
    /// Where the group goes on.
    pub(super) progress: BTreeMap<TopicPartition, Cursor>,
}

#[derive(Debug)]
struct Member {
    topics: Vec<Topic>,
    heard: Duration,
}

/// Who reads a partition, and since which assignment: by that a member sees that a partition was
/// somebody else's in between.
#[derive(Clone, Copy, Debug)]
struct Owner {
    member: MemberId,
    assignment: u64,
}

impl GroupState {
    pub(super) fn join(&mut self, topics: Vec<Topic>, now: Duration) -> MemberId {
        self.joined += 1;
        self.enter(self.joined, topics, now);
        self.joined
    }

    fn enter(&mut self, member: MemberId, topics: Vec<Topic>, now: Duration) {
        self.members.insert(member, Member { topics, heard: now });
        self.balanced_for = 0;
    }

    pub(super) fn leave(&mut self, member: MemberId) {
        self.members.remove(&member);
        self.owners.retain(|_, owner| owner.member != member);
        self.balanced_for = 0;
    }

    /// Notes that `member` polls, lets it in again if it had been given up, and gives up others
    /// that were silent for `timeout`. A member that is late itself keeps what nobody took.
    pub(super) fn heard(
        &mut self,
        member: MemberId,
        topics: &[Topic],
        now: Duration,
        timeout: Duration,
    ) {
        match self.members.get_mut(&member) {
            Some(known) => known.heard = now,
            None => self.enter(member, topics.to_vec(), now),
        }
        let silent: Vec<MemberId> = self
            .members
            .iter()
            .filter(|(id, other)| **id != member && now.saturating_sub(other.heard) >= timeout)
            .map(|(id, _)| *id)
            .collect();
        for id in silent {
            self.leave(id);
        }
    }

    /// Decides anew who should read what, if members or topics have changed, and says whether
    /// it did.
    pub(super) fn balance(&mut self, log: &mut Log) -> bool {
        for topic in self.members.values().flat_map(|member| &member.topics) {
            log.topic(topic);
        }
        if self.balanced_for == log.version() {
            return false;
        }
        let members: BTreeMap<MemberId, &[Topic]> = self
            .members
            .iter()
            .map(|(id, member)| (*id, member.topics.as_slice()))
            .collect();
        let mut topics: Vec<&Topic> = members.values().copied().flatten().collect();
        topics.sort_unstable();
        topics.dedup();
        let partitions: Vec<TopicPartition> = topics
            .into_iter()
            .flat_map(|topic| {
                let numbers = 0..log.partitions_of(topic);
                numbers.map(|number| TopicPartition::new(topic.clone(), number))
            })
            .collect();
        self.wanted = assign(&members, &partitions, &self.wanted);
        self.balanced_for = log.version();
        true
    }

    /// Lets `member` drop what others should read and take what is free and meant for it. Says
    /// whether it dropped something.
    pub(super) fn hand_over(&mut self, member: MemberId) -> bool {
        let before = self.owners.len();
        let wanted = &self.wanted;
        self.owners.retain(|partition, owner| {
            owner.member != member || wanted.get(partition) == Some(&member)
        });
        let dropped = self.owners.len() < before;
        for (partition, _) in wanted.iter().filter(|(_, to)| **to == member) {
            self.owners.entry(partition.clone()).or_insert_with(|| {
                self.assignments += 1;
                Owner {
                    member,
                    assignment: self.assignments,
                }
            });
        }
        dropped
    }

    /// What `member` reads, with the assignment since which it does.
    pub(super) fn owned_by(&self, member: MemberId) -> BTreeMap<TopicPartition, u64> {
        self.owners
            .iter()
            .filter(|(_, owner)| owner.member == member)
            .map(|(partition, owner)| (partition.clone(), owner.assignment))
            .collect()
    }

    /// Whether `member` reads a partition now. It takes one only by polling, so it knows.
    pub(super) fn owns(&self, member: MemberId, partition: &TopicPartition) -> bool {
        self.owners
            .get(partition)
            .is_some_and(|owner| owner.member == member)
    }
}

/// Gives each partition to a member that reads its topic: evenly, and otherwise as before.
fn assign(
    members: &BTreeMap<MemberId, &[Topic]>,
    partitions: &[TopicPartition],
    before: &BTreeMap<TopicPartition, MemberId>,
) -> BTreeMap<TopicPartition, MemberId> {
    let mut loads: BTreeMap<MemberId, usize> = members.keys().map(|id| (*id, 0)).collect();
    let mut owners = BTreeMap::new();
    let reads = |id: MemberId, topic: &Topic| members.get(&id).is_some_and(|t| t.contains(topic));
    let least = |loads: &BTreeMap<MemberId, usize>, topic: &Topic| {
        let readers = loads.iter().filter(|(id, _)| reads(**id, topic));
        readers
            .min_by_key(|(_, load)| **load)
            .map(|(id, load)| (*id, *load))
    };
    let mut give = |loads: &mut BTreeMap<MemberId, usize>, at: &TopicPartition, id: MemberId| {
        if let Some(previous) = owners.insert(at.clone(), id) {
            loads.entry(previous).and_modify(|load| *load -= 1);
        }
        loads.entry(id).and_modify(|load| *load += 1);
    };

    let kept = |at: &TopicPartition| before.get(at).copied().filter(|id| reads(*id, &at.topic));
    for at in partitions {
        if let Some(id) = kept(at) {
            give(&mut loads, at, id);
        }
    }
    for at in partitions.iter().filter(|at| kept(at).is_none()) {
        if let Some((id, _)) = least(&loads, &at.topic) {
            give(&mut loads, at, id);
        }
    }
    level(partitions, &mut owners, &mut loads, least);
    owners
}

/// Moves partitions from who has more to who has less. Each move makes the loads more equal, so
/// it ends.
fn level(
    partitions: &[TopicPartition],
    owners: &mut BTreeMap<TopicPartition, MemberId>,
    loads: &mut BTreeMap<MemberId, usize>,
    least: impl Fn(&BTreeMap<MemberId, usize>, &Topic) -> Option<(MemberId, usize)>,
) {
    let mut moved = true;
    while moved {
        moved = false;
        for at in partitions {
            let (Some(from), Some((to, low))) = (owners.get_mut(at), least(loads, &at.topic))
            else {
                continue;
            };
            if loads.get(from).is_some_and(|load| *load > low + 1) {
                loads.entry(*from).and_modify(|load| *load -= 1);
                loads.entry(to).and_modify(|load| *load += 1);
                *from = to;
                moved = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn partitions(count: u32) -> Vec<TopicPartition> {
        let topic = Topic::new("t").unwrap();
        (0..count)
            .map(|number| TopicPartition::new(topic.clone(), number))
            .collect()
    }

    proptest! {
        #[test]
        fn every_partition_has_one_reader_and_loads_are_even(
            count in 0_u32..20,
            rounds in prop::collection::vec(prop::collection::btree_set(0_u64..6, 1..6), 1..5),
        ) {
            let partitions = partitions(count);
            let topics = [Topic::new("t").unwrap()];
            let mut owners = BTreeMap::new();
            for ids in rounds {
                let members = ids.iter().map(|id| (*id, topics.as_slice())).collect();
                let next = assign(&members, &partitions, &owners);
                prop_assert_eq!(next.len(), partitions.len());
                let load = |id: &u64| next.values().filter(|owner| *owner == id).count();
                let loads: Vec<usize> = ids.iter().map(load).collect();
                let spread = loads.iter().max().unwrap() - loads.iter().min().unwrap();
                prop_assert!(spread <= 1, "{:?}", loads);
                prop_assert_eq!(&assign(&members, &partitions, &next), &next);
                owners = next;
            }
        }
    }

    #[test]
    fn a_newcomer_takes_only_its_share() {
        let topics = [Topic::new("t").unwrap()];
        let members = |count: u64| (0..count).map(|id| (id, topics.as_slice())).collect();
        let before = assign(&members(2), &partitions(6), &BTreeMap::new());
        let after = assign(&members(3), &partitions(6), &before);
        let moved: Vec<_> = before.iter().filter(|(at, id)| after[at] != **id).collect();
        assert_eq!(moved.len(), 2, "{before:?} then {after:?}");
    }

    #[test]
    fn a_partition_goes_only_to_who_reads_its_topic() {
        let (a, b) = (Topic::new("a").unwrap(), Topic::new("b").unwrap());
        let partitions: Vec<_> = (0..4)
            .map(|n| TopicPartition::new(if n < 3 { a.clone() } else { b.clone() }, n))
            .collect();
        let (only_a, only_b) = ([a], [b]);
        let members = BTreeMap::from([(1, only_a.as_slice()), (2, only_b.as_slice())]);
        let owners = assign(&members, &partitions, &BTreeMap::new());
        assert!(
            owners
                .iter()
                .all(|(at, id)| members[id].contains(&at.topic)),
            "{owners:?}"
        );
    }
}
