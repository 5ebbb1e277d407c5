//! What one member owns, as its subscription knows it.

use std::collections::BTreeMap;

use super::Generation;
use crate::feed::{Gained, OffsetReset, Polled};
use crate::record::{Offset, TopicPartition};

/// The partitions that a subscription reads, each with a cursor of the log's own kind, and what
/// the next successful poll has to report.
///
/// [`update`](Self::update) notes changes, and [`take_report`](Self::take_report) returns them. Take
/// the report as the last step of a poll: a poll that fails before that, or is dropped, loses no
/// report.
#[derive(Debug)]
pub struct AssignedPartitions<C> {
    partitions: BTreeMap<TopicPartition, AssignedPartition<C>>,
    report: Polled,
    turn: usize,
}

/// A partition that a subscription reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AssignedPartition<C> {
    /// Of its assignment: what a commit has to name.
    pub generation: Generation,
    /// Where reading goes on.
    pub cursor: C,
}

impl<C> Default for AssignedPartitions<C> {
    fn default() -> Self {
        Self {
            partitions: BTreeMap::new(),
            report: Polled::default(),
            turn: 0,
        }
    }
}

impl<C> AssignedPartitions<C> {
    /// Notes what the member owns now. For a partition that is new here, or of a new generation,
    /// `start` returns where reading begins, and up to where the group has committed it.
    ///
    /// A partition of a new generation may have been another member's in between: it is reported
    /// as lost and as gained. One that was never reported as gained is not reported as lost.
    pub fn update(
        &mut self,
        owned: &BTreeMap<TopicPartition, Generation>,
        mut start: impl FnMut(&TopicPartition) -> (C, Option<Offset>),
    ) {
        let report = &mut self.report;
        self.partitions.retain(|at, assigned| {
            let kept = owned.get(at) == Some(&assigned.generation);
            if !kept {
                let reported = report.gained.len();
                report.gained.retain(|gained| gained.partition != *at);
                if report.gained.len() == reported {
                    report.lost.push(at.clone());
                }
            }
            kept
        });
        for (at, generation) in owned {
            self.partitions.entry(at.clone()).or_insert_with(|| {
                let (cursor, committed) = start(at);
                report.gained.push(Gained::new(at.clone(), committed));
                AssignedPartition {
                    generation: *generation,
                    cursor,
                }
            });
        }
    }

    /// Notes that reading goes on elsewhere than where the group had stopped.
    pub fn note_reset(&mut self, reset: OffsetReset) {
        self.report.resets.push(reset);
    }

    /// Returns what changed since the last report: a [`Polled`] without records.
    pub fn take_report(&mut self) -> Polled {
        std::mem::take(&mut self.report)
    }

    /// The partitions that a poll reads, in the order in which it reads them, without those that are
    /// paused. Another one is first each time, so that a partition with many records does not keep
    /// the others from being read.
    pub fn in_turn(&mut self, paused: &[TopicPartition]) -> Vec<TopicPartition> {
        let mut all: Vec<&TopicPartition> = self.partitions.keys().collect();
        let first = self.turn.checked_rem(all.len()).unwrap_or(0);
        self.turn = self.turn.wrapping_add(1);
        all.rotate_left(first);
        let all = all.into_iter().filter(|at| !paused.contains(at));
        all.cloned().collect()
    }

    /// The partition, if it is assigned.
    #[must_use]
    pub fn get(&self, partition: &TopicPartition) -> Option<&AssignedPartition<C>> {
        self.partitions.get(partition)
    }

    /// The same, to move its cursor.
    #[must_use]
    pub fn get_mut(&mut self, partition: &TopicPartition) -> Option<&mut AssignedPartition<C>> {
        self.partitions.get_mut(partition)
    }

    /// All of them, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&TopicPartition, &AssignedPartition<C>)> {
        self.partitions.iter()
    }
}
