//! Which member should own each partition.

use std::collections::BTreeMap;

use super::{Member, MemberId, Ownership};
use crate::record::{Topic, TopicPartition};

/// Assigns each partition to a member that reads its topic: evenly, and to its present owner when
/// possible.
///
/// All members that ask with the same state get the same answer.
pub(super) fn assign(
    members: &BTreeMap<MemberId, Member>,
    partitions: &BTreeMap<Topic, u32>,
    owners: &BTreeMap<TopicPartition, Ownership>,
) -> BTreeMap<TopicPartition, MemberId> {
    let partitions: Vec<TopicPartition> = partitions
        .iter()
        .flat_map(|(topic, count)| {
            let numbers = 0..*count;
            numbers.map(|number| TopicPartition::new(topic.clone(), number))
        })
        .collect();
    let mut assignment = Assignment {
        members,
        owners: BTreeMap::new(),
        loads: members.keys().map(|id| (*id, 0)).collect(),
    };
    let present = |at| owners.get(at).and_then(|ownership| ownership.owner);
    for at in &partitions {
        if let Some(owner) = present(at).filter(|owner| assignment.reads(*owner, &at.topic)) {
            assignment.give(at, owner);
        }
    }
    for at in &partitions {
        if !assignment.owners.contains_key(at)
            && let Some((reader, _)) = assignment.least_loaded(&at.topic)
        {
            assignment.give(at, reader);
        }
    }
    while assignment.level(&partitions) {}
    let owners = assignment.owners.into_iter();
    owners.map(|(at, owner)| (at.clone(), owner)).collect()
}

struct Assignment<'a> {
    members: &'a BTreeMap<MemberId, Member>,
    owners: BTreeMap<&'a TopicPartition, MemberId>,
    /// How many partitions each member owns.
    loads: BTreeMap<MemberId, usize>,
}

impl<'a> Assignment<'a> {
    fn reads(&self, member: MemberId, topic: &Topic) -> bool {
        let member = self.members.get(&member);
        member.is_some_and(|member| member.topics.contains(topic))
    }

    fn give(&mut self, at: &'a TopicPartition, to: MemberId) {
        let from = self.owners.insert(at, to);
        if let Some(load) = from.and_then(|from| self.loads.get_mut(&from)) {
            *load -= 1;
        }
        *self.loads.entry(to).or_default() += 1;
    }

    /// The member with the fewest partitions among those that read a topic, and its number of
    /// partitions.
    fn least_loaded(&self, topic: &Topic) -> Option<(MemberId, usize)> {
        let loads = self.loads.iter().map(|(id, load)| (*id, *load));
        loads
            .filter(|(id, _)| self.reads(*id, topic))
            .min_by_key(|(_, load)| *load)
    }

    /// Moves partitions from members that own more to members that own fewer, and returns whether
    /// it moved any. Each move makes the loads more equal, so this ends.
    fn level(&mut self, partitions: &'a [TopicPartition]) -> bool {
        let mut moved = false;
        for at in partitions {
            let (Some(from), Some((to, low))) = (self.owners.get(at), self.least_loaded(&at.topic))
            else {
                continue;
            };
            if self.loads.get(from).is_some_and(|load| *load > low + 1) {
                self.give(at, to);
                moved = true;
            }
        }
        moved
    }
}
