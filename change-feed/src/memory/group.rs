//! Groups: who is a member, who reads which partition, and what is finished.

use std::collections::BTreeMap;
use std::time::Duration;

use super::log::{Cursor, Log};
use crate::record::{Topic, TopicPartition};
use crate::sharing::assign;

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
