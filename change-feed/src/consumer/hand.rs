//! The records that a consumer has in hand, and which of them are finished.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::record::{Position, Record, TopicPartition};

/// A record that is not finished.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) record: Record,
    /// How often it was handled and failed.
    pub(super) attempts: u32,
    /// How often in a row something that it needs was unavailable.
    pub(super) waits: u32,
    /// Why the record becomes a dead letter, once that is decided.
    pub(super) verdict: Option<String>,
    /// When to continue with the record, on the monotonic clock.
    pub(super) due: Duration,
}

#[derive(Debug)]
struct Item {
    position: Position,
    state: State,
}

impl Item {
    fn is_finished(&self) -> bool {
        matches!(self.state, State::Finished)
    }
}

#[derive(Debug)]
enum State {
    Waiting(Task),
    /// Taken to be handled.
    Out,
    /// Finished, but a record before it is not. The record itself is dropped. The last of several
    /// finished records in a row stands for all of them.
    Finished,
}

/// The records in hand, in order within each partition. A partition is in it only while it has
/// an unfinished record.
#[derive(Debug, Default)]
pub(super) struct Hand {
    partitions: BTreeMap<TopicPartition, VecDeque<Item>>,
}

impl Hand {
    pub(super) fn add(&mut self, records: Vec<Record>, now: Duration) {
        for record in records {
            let position = record.position.clone();
            let items = self
                .partitions
                .entry(position.partition.clone())
                .or_default();
            // What is read twice is in hand already.
            if items
                .back()
                .is_none_or(|last| last.position.offset < position.offset)
            {
                let task = Task {
                    record,
                    attempts: 0,
                    waits: 0,
                    verdict: None,
                    due: now,
                };
                items.push_back(Item {
                    position,
                    state: State::Waiting(task),
                });
            }
        }
    }

    /// Drops a revoked partition: its records belong to another member.
    pub(super) fn lose(&mut self, partition: &TopicPartition) {
        self.partitions.remove(partition);
    }

    /// How many records are unfinished.
    pub(super) fn records(&self) -> usize {
        let items = self.partitions.values().flatten();
        items.filter(|item| !item.is_finished()).count()
    }

    pub(super) fn bytes(&self) -> usize {
        self.waiting().map(|task| task.record.bytes()).sum()
    }

    /// The partitions in hand, from which nothing more should be read.
    pub(super) fn partitions(&self) -> impl Iterator<Item = &TopicPartition> {
        self.partitions.keys()
    }

    pub(super) fn next_due(&self) -> Option<Duration> {
        self.waiting().map(|task| task.due).min()
    }

    fn waiting(&self) -> impl Iterator<Item = &Task> {
        self.partitions
            .values()
            .flatten()
            .filter_map(|item| match &item.state {
                State::Waiting(task) => Some(task),
                State::Out | State::Finished => None,
            })
    }

    /// Makes no record of a partition due before `until`.
    pub(super) fn pause(&mut self, partition: &TopicPartition, until: Duration) {
        for item in self.partitions.get_mut(partition).into_iter().flatten() {
            if let State::Waiting(task) = &mut item.state {
                task.due = task.due.max(until);
            }
        }
    }

    /// Takes what is due by `now`. The caller puts each task back or finishes it.
    pub(super) fn take_due(&mut self, now: Duration) -> Vec<Task> {
        let mut due = Vec::new();
        for item in self.partitions.values_mut().flatten() {
            match std::mem::replace(&mut item.state, State::Out) {
                State::Waiting(task) if task.due <= now => due.push(task),
                other => item.state = other,
            }
        }
        due
    }

    /// Whether this member still has to finish the record.
    pub(super) fn holds(&self, position: &Position) -> bool {
        let items = self.partitions.get(&position.partition);
        items.is_some_and(|items| index(items, position).is_some())
    }

    pub(super) fn put_back(&mut self, task: Task) {
        let position = task.record.position.clone();
        self.set(&position, State::Waiting(task));
    }

    pub(super) fn finish(&mut self, position: &Position) {
        self.set(position, State::Finished);
    }

    /// Does nothing when the partition was revoked in the meantime.
    fn set(&mut self, position: &Position, state: State) {
        let Some(items) = self.partitions.get_mut(&position.partition) else {
            return;
        };
        if let Some(index) = index(items, position) {
            items[index].state = state;
        }
    }

    /// Removes the records that are finished along with all before them, and returns the last of
    /// them for each partition.
    pub(super) fn take_finished(&mut self) -> Vec<Position> {
        let mut finished = Vec::new();
        self.partitions.retain(|_, items| {
            let mut last = None;
            while let Some(item) = items.pop_front_if(|item| item.is_finished()) {
                last = Some(item.position);
            }
            finished.extend(last);
            merge_finished(items);
            !items.is_empty()
        });
        finished
    }
}

/// Keeps only the last of the finished records in a row, so that there are never more of these than
/// unfinished records.
fn merge_finished(items: &mut VecDeque<Item>) {
    let mut merged: VecDeque<Item> = VecDeque::new();
    for item in items.drain(..) {
        if item.is_finished() {
            merged.pop_back_if(|before| before.is_finished());
        }
        merged.push_back(item);
    }
    *items = merged;
}

fn index(items: &VecDeque<Item>, position: &Position) -> Option<usize> {
    let index = items
        .binary_search_by_key(&position.offset, |item| item.position.offset)
        .ok()?;
    // A topic created anew has the same offsets at other times.
    (items[index].position == *position).then_some(index)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::record::{Offset, Topic};
    use crate::time::Timestamp;

    fn record(partition: u32, offset: u128) -> Record {
        let partition = TopicPartition::new(Topic::new("t").unwrap(), partition);
        Record::new(Position {
            partition,
            offset: Offset(offset),
            timestamp: Timestamp::EPOCH,
        })
    }

    proptest! {
        #[test]
        fn a_commit_never_passes_an_unfinished_record(
            offsets in prop::collection::btree_set((0_u32..3, 0_u128..40), 0..60),
            rounds in prop::collection::vec(prop::collection::vec(any::<bool>(), 60), 1..6),
        ) {
            let mut hand = Hand::default();
            let records = offsets.iter().map(|(partition, offset)| record(*partition, *offset));
            hand.add(records.collect(), Duration::ZERO);
            let mut open: BTreeSet<(u32, u128)> = offsets.clone();
            for round in rounds {
                let due = hand.take_due(Duration::ZERO);
                prop_assert_eq!(due.len(), open.len());
                for (task, done) in due.into_iter().zip(round) {
                    let Position { partition, offset, .. } = &task.record.position;
                    if done {
                        open.remove(&(partition.partition, offset.0));
                        hand.finish(&task.record.position);
                    } else {
                        hand.put_back(task);
                    }
                }
                for position in hand.take_finished() {
                    let number = position.partition.partition;
                    let passed = (number, 0)..=(number, position.offset.0);
                    prop_assert_eq!(open.range(passed).next(), None);
                    let next = offsets.range((number, position.offset.0 + 1)..=(number, 40)).next();
                    prop_assert!(next.is_none_or(|next| open.contains(next)), "could go further");
                }
            }
            prop_assert_eq!(hand.records(), open.len());
            let kept: usize = hand.partitions.values().map(VecDeque::len).sum();
            prop_assert!(kept <= 2 * open.len(), "{} kept for {} unfinished", kept, open.len());
            let paused: BTreeSet<u32> = hand.partitions().map(|at| at.partition).collect();
            let expected: BTreeSet<u32> = open.iter().map(|(number, _)| *number).collect();
            prop_assert_eq!(paused, expected);
        }
    }

    #[test]
    fn what_was_lost_while_it_was_handled_is_nobodys_to_finish() {
        let mut hand = Hand::default();
        hand.add(vec![record(0, 1), record(1, 1)], Duration::ZERO);
        let due = hand.take_due(Duration::ZERO);
        hand.lose(&due[0].record.position.partition);
        for task in &due {
            hand.finish(&task.record.position);
        }
        assert_eq!(hand.take_finished(), [record(1, 1).position]);
    }

    #[test]
    fn only_what_is_due_is_taken_and_what_is_read_twice_counts_once() {
        let mut hand = Hand::default();
        hand.add(vec![record(0, 1)], Duration::from_secs(2));
        hand.add(vec![record(0, 1), record(0, 2)], Duration::from_secs(1));
        assert_eq!(
            (hand.records(), hand.next_due()),
            (2, Some(Duration::from_secs(1)))
        );
        let due = hand.take_due(Duration::from_secs(1));
        assert_eq!(
            due.iter()
                .map(|task| task.record.position.offset.0)
                .collect::<Vec<_>>(),
            [2]
        );
    }
}
