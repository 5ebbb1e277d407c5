//! What one member owns, as its subscription knows it.

use std::collections::BTreeMap;

use super::Generation;
use crate::feed::{Gained, OffsetReset, Polled};
use crate::record::{Offset, TopicPartition};

/// The partitions that a subscription reads, each with a cursor of the log's own type, and the
/// report for the next successful poll.
///
/// [`update`](Self::update) records changes, and [`take_report`](Self::take_report) returns them.
/// Take the report as the last step of a poll: then a poll that fails before that step, or is
/// dropped, loses no report.
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
    /// The generation of its assignment, which a commit names.
    pub generation: Generation,
    /// Where reading continues.
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
    /// Records what the member owns now. For each new partition and each new generation, `start`
    /// returns where reading begins, and the committed offset.
    ///
    /// A partition with a new generation may have belonged to another member in between, so it is
    /// reported as revoked and as assigned. A partition that was never reported as assigned is not
    /// reported as revoked.
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

    /// Records that reading did not continue at the committed offset.
    pub fn note_reset(&mut self, reset: OffsetReset) {
        self.report.resets.push(reset);
    }

    /// Returns what changed since the last report: a [`Polled`] without records.
    pub fn take_report(&mut self) -> Polled {
        std::mem::take(&mut self.report)
    }

    /// The partitions to read, without the paused ones. They are rotated with each call, so that a
    /// partition with many records does not keep the others from being read.
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

    /// As [`get`](Self::get), to move the cursor.
    #[must_use]
    pub fn get_mut(&mut self, partition: &TopicPartition) -> Option<&mut AssignedPartition<C>> {
        self.partitions.get_mut(partition)
    }

    /// All assigned partitions, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&TopicPartition, &AssignedPartition<C>)> {
        self.partitions.iter()
    }
}
