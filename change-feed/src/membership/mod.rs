//! Consumer groups for logs that have none of their own: who is a member, and which member owns
//! which partition.
//!
//! Everything here is decided on rows that the log stores. There is no I/O and no clock. A log does
//! three things with it:
//!
//! 1. **It stores a row for each [`Member`] and an [`Ownership`] for each partition.** When a member
//!    polls, the log loads the rows of the group into a [`GroupState`], calls [`GroupState::poll`],
//!    and writes the [`Changes`]. No other caller may change the rows in between: lock them, or
//!    make the write conditional on what was loaded, and begin again where it fails.
//! 2. **It accepts commits from the owner only.** A commit is written only if the partition still
//!    has this owner and this [`Generation`], compared in the same statement as the write. This is
//!    the fence: it stops a member that stalled and does not know that it was replaced.
//! 3. **Its subscription keeps [`AssignedPartitions`]**, which compares what the member owns now
//!    with what it owned before, and keeps the report for the next successful poll.
//!
//! # What has to be durable
//!
//! Commits, always. Members and ownerships have to be as durable as the members are: if all members
//! run in the process that keeps the rows, they may be lost with it. If members run on while the
//! rows are lost, as with a server, the rows must survive: generations would begin again at 1, and
//! a former owner could commit.
//!
//! # What is guaranteed
//!
//! - A member joins with its first poll, and again with the next poll after it has expired.
//! - A member that did not poll within the session timeout expires when another member polls. A
//!   member that polls late keeps the partitions that no other member has taken.
//! - A partition has at most one owner. It changes hands in two steps: its owner polls and releases
//!   it, then the next owner polls and takes it. Partitions of a member that left or expired are
//!   free at once.
//! - Each assignment of a partition has a higher generation than the one before.
//! - Members that read the same topics own equally many partitions, or one more or less.
//! - Partitions stay with their owners unless that is uneven. When one member joins or leaves, each
//!   partition changes hands at most once.
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
//!         // Of each topic that any member of the group reads, not only this one. Otherwise
//!         // members divide the work differently, and partitions stay without an owner.
//!         let all = group.topics().chain(topics);
//!         let partitions = all.map(|topic| (topic.clone(), 2)).collect();
//!         let changes = group.poll(&MemberPoll {
//!             id,
//!             topics,
//!             partitions: &partitions,
//!             now,
//!             session_timeout: Duration::from_secs(30),
//!         });
//!         self.write(changes);
//!         group
//!     }
//!
//!     fn write(&mut self, changes: Changes) {
//!         let Changes { member, removed, partitions, others_should_poll: _ } = changes;
//!         self.members.extend(member.map(|member| (member.id, member)));
//!         self.members.retain(|id, _| !removed.contains(id));
//!         self.owners.extend(partitions);
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
//! // Ben joins. One partition is for him, and Ada has to release it first.
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

/// Identifies a member within its group. The log chooses it, and never uses it for another member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MemberId(pub u64);

/// The number of an assignment of a partition: the first is 1. A commit names it.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Generation(pub u64);

/// A member, as it is stored.
///
/// Exhaustive on purpose: a log must store all of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its id.
    pub id: MemberId,
    /// The topics that it reads.
    pub topics: Vec<Topic>,
    /// When it polled last, on the log's clock.
    pub last_heard: Timestamp,
}

/// Who owns a partition, as it is stored. A partition without a row has the default: no owner, and
/// never assigned.
///
/// Exhaustive on purpose: a log must store all of it, also while there is no owner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ownership {
    /// The member that reads the partition; none while the partition is free.
    pub owner: Option<MemberId>,
    /// The last assignment. It stays when the owner releases the partition.
    pub generation: Generation,
}

/// A poll of a member.
///
/// Exhaustive on purpose: a log must set every field.
#[derive(Clone, Copy, Debug)]
pub struct MemberPoll<'a> {
    /// Which member polls.
    pub id: MemberId,
    /// The topics that it reads.
    pub topics: &'a [Topic],
    /// How many partitions each topic has now: the topics of this member, and those that the other
    /// members read ([`GroupState::topics`]). A topic that is missing here has no partitions, and
    /// owners release those that they had.
    pub partitions: &'a BTreeMap<Topic, u32>,
    /// The time on the log's clock, read after the rows of the group were locked. All times of a
    /// group come from one clock.
    pub now: Timestamp,
    /// A member expires after this long without a poll.
    pub session_timeout: Duration,
}

/// What the log has to write, all of it or nothing.
///
/// Exhaustive on purpose: a log that forgets to write something must not compile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "a log has to write these changes"]
pub struct Changes {
    /// The member that polled: insert its row, or replace the row that is there.
    pub member: Option<Member>,
    /// Members that left or expired: delete their rows.
    pub removed: Vec<MemberId>,
    /// Partitions that were taken or released: insert each row, or replace the row that is there.
    pub partitions: BTreeMap<TopicPartition, Ownership>,
    /// Whether other members may have something to release or to take: a member joined, left or
    /// expired, or a partition was taken or released. A log wakes the polls of other members that
    /// wait, or these look at the group again and again while they wait, because a poll returns when
    /// its assignment changes.
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

    /// A member polls. It joins if it is new. Other members that were silent for the session
    /// timeout expire. The member releases partitions that other members should own, and takes
    /// those that are free and assigned to it. [`owned_by`](Self::owned_by) returns what it owns
    /// after that.
    pub fn poll(&mut self, poll: &MemberPoll<'_>) -> Changes {
        let member = Member {
            id: poll.id,
            topics: poll.topics.to_vec(),
            last_heard: poll.now,
        };
        let joined = self.members.insert(poll.id, member.clone()).is_none();
        let removed = self.expire_all_but(Some(poll.id), poll.now, poll.session_timeout);
        let before = self.owners.clone();
        self.free_without_member();
        self.hand_over(poll.id, poll.partitions);
        let mut changes = self.changes(&before, removed);
        changes.others_should_poll |= joined;
        changes.member = Some(member);
        changes
    }

    /// A member leaves.
    pub fn leave(&mut self, member: MemberId) -> Changes {
        let removed = self.members.remove(&member).map(|member| member.id);
        let before = self.owners.clone();
        self.free_without_member();
        self.changes(&before, removed.into_iter().collect())
    }

    /// Members that were silent for the session timeout expire, without a poll. Used to find out
    /// whether a group has live members.
    pub fn expire(&mut self, now: Timestamp, session_timeout: Duration) -> Changes {
        let removed = self.expire_all_but(None, now, session_timeout);
        let before = self.owners.clone();
        self.free_without_member();
        self.changes(&before, removed)
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

    /// The fence: whether this member owns the partition now, under this generation, and may
    /// commit.
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

    /// Where the clock was set back, nobody counts as silent.
    fn expire_all_but(
        &mut self,
        polls: Option<MemberId>,
        now: Timestamp,
        session_timeout: Duration,
    ) -> Vec<MemberId> {
        let expired = |member: &Member| {
            let silence = now.since(member.last_heard);
            Some(member.id) != polls && silence.is_some_and(|silence| silence >= session_timeout)
        };
        let removed = self.members.extract_if(.., |_, member| expired(member));
        removed.map(|(id, _)| id).collect()
    }

    /// Frees the partitions whose owner is no member.
    fn free_without_member(&mut self) {
        for ownership in self.owners.values_mut() {
            let is_member = |owner: &MemberId| self.members.contains_key(owner);
            ownership.owner = ownership.owner.filter(is_member);
        }
    }

    /// A member releases what others should own, and takes what is free and meant for it.
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
        removed: Vec<MemberId>,
    ) -> Changes {
        let now = self.owners.iter();
        let partitions: BTreeMap<TopicPartition, Ownership> = now
            .filter(|(partition, now)| before.get(*partition) != Some(now))
            .map(|(partition, now)| (partition.clone(), *now))
            .collect();
        Changes {
            member: None,
            others_should_poll: !removed.is_empty() || !partitions.is_empty(),
            removed,
            partitions,
        }
    }
}
