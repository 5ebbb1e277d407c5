//! Groups of readers, for logs that have none of their own: who is a member, and which member owns
//! which partition.
//!
//! Everything here decides on what the log has stored and is told. It does no I/O and reads no
//! clock. A log does three things with it:
//!
//! 1. **It stores a row for each [`Member`] and each [`Ownership`].** When a member polls, the log
//!    loads the rows of the group into a [`GroupState`], calls [`GroupState::poll`], and writes the
//!    [`Changes`]. Nobody else may change these rows in between: lock them, or make the write
//!    conditional on them and begin again where it fails.
//! 2. **It lets an owner commit, and nobody else.** A commit is written only if the row of the
//!    partition still has that owner and that [`Generation`], compared in the same step as the
//!    write. This fence stops a member that stalled and does not know yet that it was replaced.
//! 3. **Its subscription keeps [`AssignedPartitions`]**, which compares what the member owns now
//!    with what it owned before, and keeps the report for the next successful poll.
//!
//! # What is decided
//!
//! - A member joins with its first poll, and again when it polls after it was given up.
//! - A member that was silent for the session timeout is given up by the next poll of another
//!   member. A member that is late itself keeps the partitions that nobody has taken.
//! - A partition has at most one owner. It changes hands in two steps: the owner polls and gives it
//!   up, then the next owner polls and takes it. Only a member that left or was given up is not
//!   waited for.
//! - Each assignment of a partition has a higher [`Generation`] than the one before.
//! - Members that read the same topics own equally many partitions, give or take one. A partition
//!   moves only where that is needed.
//!
//! # Example
//!
//! A log that keeps its groups in a map. In a real one the map is a table.
//!
//! ```
//! use std::collections::BTreeMap;
//! use std::time::Duration;
//!
//! use stockade_change_feed::membership::{
//!     AssignedPartitions, Changes, GroupState, Member, MemberId, MemberPoll, Ownership,
//! };
//! use stockade_change_feed::{Timestamp, Topic, TopicPartition};
//!
//! #[derive(Default)]
//! struct Tables {
//!     members: BTreeMap<MemberId, Member>,
//!     owners: BTreeMap<TopicPartition, Ownership>,
//! }
//!
//! impl Tables {
//!     /// In a transaction: lock the group, read the clock, load, decide, write.
//!     fn poll(&mut self, id: MemberId, topics: &[Topic], now: Timestamp) -> GroupState {
//!         let members = self.members.values().cloned();
//!         let owners = self.owners.iter().map(|(at, owner)| (at.clone(), *owner));
//!         let mut group = GroupState::new(members, owners);
//!         let changes = group.poll(&MemberPoll {
//!             id,
//!             topics,
//!             // Of every topic that a member reads.
//!             partitions: &topics.iter().map(|topic| (topic.clone(), 2)).collect(),
//!             now,
//!             session_timeout: Duration::from_secs(30),
//!         });
//!         self.write(changes);
//!         group
//!     }
//!
//!     fn write(&mut self, changes: Changes) {
//!         let Changes { heard, gone, owners, others_should_poll: _ } = changes;
//!         self.members.extend(heard.map(|member| (member.id, member)));
//!         self.members.retain(|id, _| !gone.contains(id));
//!         self.owners.extend(owners);
//!     }
//! }
//!
//! # fn main() -> Result<(), stockade_change_feed::FeedError> {
//! let mut tables = Tables::default();
//! let (ada, ben, topics) = (MemberId(1), MemberId(2), [Topic::new("orders")?]);
//! let start = Timestamp::from_millis(1_700_000_000_000);
//!
//! // Ada is alone and owns both partitions. Her subscription begins at the offset 0 of each.
//! let mut of_ada = AssignedPartitions::default();
//! let group = tables.poll(ada, &topics, start);
//! of_ada.update(&group.owned_by(ada), |_| (0_u64, None));
//! assert_eq!(of_ada.take_report().gained.len(), 2);
//!
//! // Ben joins. One partition is for him, and Ada has to give it up first.
//! assert!(tables.poll(ben, &topics, start).owned_by(ben).is_empty());
//! let group = tables.poll(ada, &topics, start);
//! of_ada.update(&group.owned_by(ada), |_| (0, None));
//! let lost = of_ada.take_report().lost;
//! let group = tables.poll(ben, &topics, start);
//! assert_eq!(group.owned_by(ben).into_keys().collect::<Vec<_>>(), lost);
//!
//! // Ada stalls, and Ben takes what she had. Her late commit is refused.
//! let later = start.plus(Duration::from_secs(30));
//! let group = tables.poll(ben, &topics, later);
//! assert_eq!(group.owned_by(ben).len(), 2);
//! for (at, assigned) in of_ada.iter() {
//!     assert!(!group.may_commit(ada, at, assigned.generation));
//! }
//! # Ok(())
//! # }
//! ```

mod assigned;
mod assignment;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::assigned::{AssignedPartition, AssignedPartitions};
use crate::record::{Topic, TopicPartition};
use crate::time::Timestamp;

/// Names a member within its group. The log chooses it and never uses it for another member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MemberId(pub u64);

/// Counts the assignments of a partition. An owner's commit is accepted only with the generation
/// of the present assignment.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Generation(pub u64);

/// A member as it is stored.
///
/// Exhaustive on purpose: a log must store all of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its id.
    pub id: MemberId,
    /// The topics that it reads.
    pub topics: Vec<Topic>,
    /// When it polled last.
    pub last_heard: Timestamp,
}

/// Who owns a partition, as it is stored. A partition without a row has the default: no owner, and
/// never assigned.
///
/// Exhaustive on purpose: a log must store all of it, also while there is no owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ownership {
    /// The member that reads the partition; none while it waits for its next owner.
    pub owner: Option<MemberId>,
    /// Of the last assignment. It is kept when the owner goes.
    pub generation: Generation,
}

/// A member polls.
///
/// Exhaustive on purpose: a log must say all of it.
#[derive(Clone, Copy, Debug)]
pub struct MemberPoll<'a> {
    /// Which member.
    pub id: MemberId,
    /// The topics that it reads.
    pub topics: &'a [Topic],
    /// How many partitions each topic has now: those that this member reads, and those that the
    /// others read ([`GroupState::topics`]). A topic left out has none, and the owners of its
    /// partitions give them up.
    pub partitions: &'a BTreeMap<Topic, u32>,
    /// The time on the log's clock, read after the rows of the group were locked. All times of a
    /// group come from one clock.
    pub now: Timestamp,
    /// After how long without a poll a member is given up.
    pub session_timeout: Duration,
}

/// What the log has to write, all of it or nothing.
///
/// Exhaustive on purpose: a log that forgets to write something must not compile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "a log has to write these changes"]
pub struct Changes {
    /// The row of the member that polled: to be inserted, or written over the one that is there.
    pub heard: Option<Member>,
    /// Members that left or were given up: their rows are to be deleted.
    pub gone: Vec<MemberId>,
    /// The rows of partitions that changed: each to be inserted, or written over the one that is
    /// there.
    pub owners: BTreeMap<TopicPartition, Ownership>,
    /// Whether other members have something to give up or to take. Wake them, or let them find out
    /// with their next polls.
    pub others_should_poll: bool,
}

/// A group: its members, and the owners of its partitions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupState {
    members: BTreeMap<MemberId, Member>,
    owners: BTreeMap<TopicPartition, Ownership>,
}

impl GroupState {
    /// A group as it is stored.
    #[must_use]
    pub fn new(
        members: impl IntoIterator<Item = Member>,
        owners: impl IntoIterator<Item = (TopicPartition, Ownership)>,
    ) -> Self {
        let members = members.into_iter().map(|member| (member.id, member));
        Self {
            members: members.collect(),
            owners: owners.into_iter().collect(),
        }
    }

    /// How many members the group has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether the group has no member.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The topics that members read, each once.
    pub fn topics(&self) -> impl Iterator<Item = &Topic> {
        let topics: BTreeSet<&Topic> = self.members.values().flat_map(|m| &m.topics).collect();
        topics.into_iter()
    }

    /// Notes that a member polls: the member joins if it is new, members that were silent for too
    /// long are given up, and the member gives up partitions that others should own and takes those
    /// that are free and meant for it. What it owns then is [`owned_by`](Self::owned_by).
    pub fn poll(&mut self, poll: &MemberPoll<'_>) -> Changes {
        let heard = Member {
            id: poll.id,
            topics: poll.topics.to_vec(),
            last_heard: poll.now,
        };
        let joined = self.members.insert(poll.id, heard.clone()).is_none();
        let gone = self.remove_silent(Some(poll.id), poll.now, poll.session_timeout);
        let before = self.owners.clone();
        self.free_without_member();
        self.hand_over(poll.id, poll.partitions);
        self.changes(&before, gone, joined, Some(heard))
    }

    /// Removes a member, which leaves by itself.
    pub fn leave(&mut self, member: MemberId) -> Changes {
        let gone = self.members.remove(&member).map(|member| member.id);
        let before = self.owners.clone();
        self.free_without_member();
        self.changes(&before, gone.into_iter().collect(), false, None)
    }

    /// Gives up the members that were silent for `session_timeout`, without a poll: to find out
    /// whether a group has members that live.
    pub fn remove_expired(&mut self, now: Timestamp, session_timeout: Duration) -> Changes {
        let gone = self.remove_silent(None, now, session_timeout);
        let before = self.owners.clone();
        self.free_without_member();
        self.changes(&before, gone, false, None)
    }

    /// The partitions that a member owns, each with the generation of its assignment.
    #[must_use]
    pub fn owned_by(&self, member: MemberId) -> BTreeMap<TopicPartition, Generation> {
        let owned = self.owners.iter();
        owned
            .filter(|(_, ownership)| ownership.owner == Some(member))
            .map(|(partition, ownership)| (partition.clone(), ownership.generation))
            .collect()
    }

    /// The fence: whether a member may commit, which holds a partition of that generation.
    #[must_use]
    pub fn may_commit(
        &self,
        member: MemberId,
        partition: &TopicPartition,
        generation: Generation,
    ) -> bool {
        let present = Ownership {
            owner: Some(member),
            generation,
        };
        self.owners.get(partition) == Some(&present)
    }

    /// A clock that was set back makes nobody silent.
    fn remove_silent(
        &mut self,
        polls: Option<MemberId>,
        now: Timestamp,
        session_timeout: Duration,
    ) -> Vec<MemberId> {
        let silent = |member: &Member| {
            let silence = now.since(member.last_heard);
            Some(member.id) != polls && silence.is_some_and(|silence| silence >= session_timeout)
        };
        let gone = self.members.extract_if(.., |_, member| silent(member));
        gone.map(|(id, _)| id).collect()
    }

    fn free_without_member(&mut self) {
        for ownership in self.owners.values_mut() {
            let is_member = |owner: &MemberId| self.members.contains_key(owner);
            ownership.owner = ownership.owner.filter(is_member);
        }
    }

    /// Lets a member give up what others should own, and take what is free and meant for it.
    fn hand_over(&mut self, member: MemberId, partitions: &BTreeMap<Topic, u32>) {
        let wanted = assignment::assign(&self.members, partitions, &self.owners);
        for (partition, ownership) in &mut self.owners {
            let kept = wanted.get(partition) == Some(&member);
            if ownership.owner == Some(member) && !kept {
                ownership.owner = None;
            }
        }
        for (partition, _) in wanted.into_iter().filter(|(_, to)| *to == member) {
            let ownership = self.owners.entry(partition).or_default();
            if ownership.owner.is_none() {
                ownership.owner = Some(member);
                ownership.generation.0 += 1;
            }
        }
    }

    fn changes(
        &self,
        before: &BTreeMap<TopicPartition, Ownership>,
        gone: Vec<MemberId>,
        joined: bool,
        heard: Option<Member>,
    ) -> Changes {
        let now = self.owners.iter();
        let owners: BTreeMap<TopicPartition, Ownership> = now
            .filter(|(partition, now)| before.get(*partition) != Some(now))
            .map(|(partition, now)| (partition.clone(), *now))
            .collect();
        let others_should_poll = joined || !gone.is_empty() || !owners.is_empty();
        Changes {
            heard,
            gone,
            owners,
            others_should_poll,
        }
    }
}
