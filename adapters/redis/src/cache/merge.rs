//! One answer of what several buckets say.

use std::collections::BTreeMap;

use stockade_catalog_core::{
    Advanced, Completeness, Continuity, Coverage, MarkWrite, PartitionMark,
};

/// The marks and the coverage of some buckets together.
#[derive(Debug, Default)]
pub(super) struct State {
    marks: Option<BTreeMap<u32, PartitionMark>>,
    is_unfilled: bool,
}

impl State {
    /// Adds what one more bucket says. The oldest mark of each partition counts, and a partition that
    /// a bucket does not know is not known: what is behind it may be missing there.
    pub(super) fn add(&mut self, marks: Vec<PartitionMark>, coverage: Coverage) {
        self.is_unfilled |= coverage == Coverage::Unfilled;
        let mut more: BTreeMap<u32, PartitionMark> = marks
            .into_iter()
            .map(|mark| (mark.partition, mark))
            .collect();
        if let Some(kept) = &self.marks {
            more.retain(|partition, mark| match kept.get(partition) {
                Some(other) => {
                    *mark = older(*mark, *other);
                    true
                }
                None => false,
            });
        }
        self.marks = Some(more);
    }

    pub(super) fn coverage(&self) -> Coverage {
        match self.is_unfilled {
            true => Coverage::Unfilled,
            false => Coverage::Filled,
        }
    }

    pub(super) fn into_marks(self) -> Vec<PartitionMark> {
        self.marks.unwrap_or_default().into_values().collect()
    }
}

fn older(one: PartitionMark, other: PartitionMark) -> PartitionMark {
    let age = |of: &Completeness| (of.epoch, of.complete_as_of);
    PartitionMark {
        partition: one.partition,
        upto: one.upto.min(other.upto),
        complete: match (one.complete, other.complete) {
            (Some(one), Some(other)) => Some(if age(&one) <= age(&other) { one } else { other }),
            _ => None,
        },
    }
}

/// What became of an advance in two buckets: a gap in either is a gap, and what has to be looked at
/// is not hidden by the other.
pub(super) fn advanced(one: Advanced, other: Advanced) -> Advanced {
    let continuity = match (one.continuity, other.continuity) {
        (Continuity::Gap { upto: one }, Continuity::Gap { upto: other }) => Continuity::Gap {
            // None is the least.
            upto: one.min(other),
        },
        (Continuity::Continuous, other) => other,
        (one, Continuity::Continuous) => one,
    };
    let complete = match (one.complete, other.complete) {
        (Some(one), Some(other)) => Some(if rank(one) >= rank(other) { one } else { other }),
        (one, other) => one.or(other),
    };
    Advanced {
        continuity,
        complete,
    }
}

fn rank(of: MarkWrite) -> (u8, u32) {
    match of {
        MarkWrite::NotNewer => (0, 0),
        MarkWrite::Stored => (1, 0),
        MarkWrite::OlderEpoch { kept } => (2, kept),
    }
}

#[cfg(test)]
mod tests {
    use stockade_change_feed::{Offset, Timestamp};

    use super::*;

    fn mark(partition: u32, upto: u128, second: Option<i64>) -> PartitionMark {
        PartitionMark {
            partition,
            upto: Offset(upto),
            complete: second.map(|second| Completeness {
                partitions: 2,
                epoch: 0,
                complete_as_of: Timestamp::from_millis(second * 1_000),
            }),
        }
    }

    #[test]
    fn the_oldest_mark_counts_and_one_that_is_missing_is_unknown() {
        let mut state = State::default();
        let first = vec![mark(0, 9, Some(5)), mark(1, 3, Some(5)), mark(2, 7, None)];
        state.add(first, Coverage::Filled);
        assert_eq!(state.coverage(), Coverage::Filled);
        state.add(
            vec![mark(0, 8, Some(7)), mark(1, 4, None)],
            Coverage::Filled,
        );
        state.add(
            vec![mark(1, 4, Some(9)), mark(0, 10, Some(6))],
            Coverage::Unfilled,
        );
        assert_eq!(state.coverage(), Coverage::Unfilled);
        let expected = [mark(0, 8, Some(5)), mark(1, 3, None)];
        assert_eq!(state.into_marks(), expected);
    }

    #[test]
    fn a_gap_in_one_bucket_is_a_gap() {
        let of = |continuity, complete| Advanced {
            continuity,
            complete,
        };
        let gap = |upto: Option<u128>| Continuity::Gap {
            upto: upto.map(Offset),
        };
        let follows = of(Continuity::Continuous, Some(MarkWrite::Stored));
        let older = Some(MarkWrite::OlderEpoch { kept: 3 });
        assert_eq!(advanced(follows, follows), follows);
        let merged = advanced(follows, of(gap(Some(4)), older));
        assert_eq!(merged, of(gap(Some(4)), older));
        let merged = advanced(merged, of(gap(None), Some(MarkWrite::NotNewer)));
        assert_eq!(merged, of(gap(None), older));
    }
}
