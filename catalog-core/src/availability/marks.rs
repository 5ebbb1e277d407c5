//! How far the partitions of the stock events have been applied to a cache: pure decisions.

use stockade_change_feed::{Offset, ReadFrom, Timestamp};

/// How far one partition has been applied to a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionMark {
    /// Which partition.
    pub partition: u32,
    /// Every record up to and including this offset has been applied, or the coverage is
    /// [`Unfilled`](crate::Coverage::Unfilled).
    pub upto: Offset,
    /// The newest heartbeat; `None` before the first one.
    pub complete: Option<Completeness>,
}

/// The content of a heartbeat in a partition of the stock events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Completeness {
    /// How many partitions there are.
    pub partitions: u32,
    /// Inventory's epoch.
    pub epoch: u32,
    /// Everything that was committed before this time, on inventory's clock, is before the
    /// heartbeat in the partition.
    pub complete_as_of: Timestamp,
}

impl Completeness {
    /// The outcome of storing this one when `kept` is stored. A higher epoch is newer; within an
    /// epoch, a later time is newer.
    #[must_use]
    pub fn decide(&self, kept: Option<&Self>) -> MarkWrite {
        let age = |of: &Self| (of.epoch, of.complete_as_of);
        match kept {
            Some(kept) if self.epoch < kept.epoch => MarkWrite::OlderEpoch { kept: kept.epoch },
            Some(kept) if age(self) <= age(kept) => MarkWrite::NotNewer,
            _ => MarkWrite::Stored,
        }
    }
}

/// Records of a partition that have been applied to a cache.
///
/// Exhaustive on purpose: a cache that ignores a field must not compile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advance {
    /// Which partition.
    pub partition: u32,
    /// The place before the first record.
    pub after: ReadFrom,
    /// The offset of the last record. Without records it is the same offset as
    /// [`After`](ReadFrom::After): the advance then only checks what the cache has reached.
    pub upto: Offset,
    /// The newest heartbeat among the records.
    pub complete: Option<Completeness>,
}

impl Advance {
    /// An advance without a heartbeat.
    #[must_use]
    pub fn empty(partition: u32, after: ReadFrom, upto: Offset) -> Self {
        Self {
            partition,
            after,
            upto,
            complete: None,
        }
    }

    /// The mark of the partition after this advance, when `kept` is stored, and the outcome.
    ///
    /// - The records are continuous when they begin [`After`](ReadFrom::After) an offset that the
    ///   cache has reached. The mark moves to [`upto`](Self::upto), and never back.
    /// - Otherwise there is a gap: the cache has lost writes, never had the earlier records, or it
    ///   is unknown. The mark moves to [`upto`](Self::upto), forwards or backwards.
    /// - The newest heartbeat is kept in both cases.
    ///
    /// ```
    /// use stockade_catalog_core::{Advance, Continuity};
    /// use stockade_change_feed::{Offset, ReadFrom};
    ///
    /// let advance = |after, upto| Advance::empty(0, after, Offset(upto));
    /// let (kept, _) = advance(ReadFrom::Start, 7).decide(None);
    /// let (kept, advanced) = advance(ReadFrom::After(Offset(7)), 9).decide(Some(&kept));
    /// assert_eq!((kept.upto, advanced.continuity), (Offset(9), Continuity::Continuous));
    ///
    /// // The cache came back with an older state: offset 11 is not in it.
    /// let (_, advanced) = advance(ReadFrom::After(Offset(11)), 12).decide(Some(&kept));
    /// let upto = Some(Offset(9));
    /// assert_eq!(advanced.continuity, Continuity::Gap { upto });
    /// ```
    #[must_use]
    pub fn decide(&self, kept: Option<&PartitionMark>) -> (PartitionMark, Advanced) {
        let reached = kept.map(|kept| kept.upto);
        let continuity = match (self.after, reached) {
            (ReadFrom::After(offset), Some(reached)) if reached >= offset => Continuity::Continuous,
            _ => Continuity::Gap { upto: reached },
        };
        let upto = match (continuity, reached) {
            (Continuity::Continuous, Some(reached)) => reached.max(self.upto),
            _ => self.upto,
        };
        let before = kept.and_then(|kept| kept.complete);
        let complete = self.complete.map(|new| new.decide(before.as_ref()));
        let mark = PartitionMark {
            partition: self.partition,
            upto,
            complete: match complete {
                Some(MarkWrite::Stored) => self.complete,
                _ => before,
            },
        };
        (
            mark,
            Advanced {
                continuity,
                complete,
            },
        )
    }
}

/// The outcome of an [`Advance`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Advanced {
    /// Whether its records follow the records that the cache had.
    pub continuity: Continuity,
    /// The outcome of storing the heartbeat, if there was one.
    pub complete: Option<MarkWrite>,
}

/// Whether records follow the records that the cache had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Continuity {
    /// The records follow.
    Continuous,
    /// The records do not follow, or it is unknown. The coverage is now
    /// [`Unfilled`](crate::Coverage::Unfilled), and all fills have ended.
    Gap {
        /// The offset that the cache had reached in this partition; `None` when it had no mark of
        /// it.
        upto: Option<Offset>,
    },
}

/// The outcome of storing a heartbeat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkWrite {
    /// It is stored.
    Stored,
    /// Not stored: the stored one is as new, or newer.
    NotNewer,
    /// Not stored: the stored one has a newer epoch. A publisher still publishes a history that an
    /// operator has ended; an operator must look at this.
    OlderEpoch {
        /// The epoch of the stored one.
        kept: u32,
    },
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn complete(epoch: u32, millis: i64) -> Completeness {
        Completeness {
            partitions: 1,
            epoch,
            complete_as_of: Timestamp::from_millis(millis),
        }
    }

    #[test]
    fn a_completeness_never_goes_back_within_an_epoch_and_no_older_epoch_wins() {
        let kept = complete(1, 5);
        assert_eq!(kept.decide(None), MarkWrite::Stored);
        for (new, expected) in [
            (complete(1, 5), MarkWrite::NotNewer),
            (complete(1, 4), MarkWrite::NotNewer),
            (complete(1, 6), MarkWrite::Stored),
            (complete(2, 1), MarkWrite::Stored),
            (complete(0, 9), MarkWrite::OlderEpoch { kept: 1 }),
        ] {
            assert_eq!(new.decide(Some(&kept)), expected, "{new:?}");
        }
    }

    #[test]
    fn what_begins_at_the_start_or_elsewhere_is_a_gap() {
        for after in [ReadFrom::Start, ReadFrom::Elsewhere] {
            let (kept, advanced) = Advance::empty(0, after, Offset(7)).decide(None);
            assert_eq!(advanced.continuity, Continuity::Gap { upto: None });
            // A topic that was created again counts from 0.
            let (kept, advanced) = Advance::empty(0, after, Offset(2)).decide(Some(&kept));
            let upto = Some(Offset(7));
            assert_eq!(advanced.continuity, Continuity::Gap { upto });
            assert_eq!(kept.upto, Offset(2));
        }
    }

    /// What happens to a cache of one partition, whose records are applied by workers.
    #[derive(Clone, Debug)]
    enum Step {
        /// A worker applies this many records after those that it applied last.
        Apply(usize, u128),
        /// A worker is given the partition again, this far behind what the group had applied.
        Begin(usize, u128),
        /// The cache falls back to what it was this many steps ago.
        FallBack(usize),
        /// An old call arrives once more.
        Repeat(usize),
        /// A fill begins and ends.
        Fill,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => (0_usize..3, 1_u128..4).prop_map(|(worker, count)| Step::Apply(worker, count)),
            2 => (0_usize..3, 0_u128..4).prop_map(|(worker, behind)| Step::Begin(worker, behind)),
            2 => (0_usize..20).prop_map(Step::FallBack),
            2 => (0_usize..20).prop_map(Step::Repeat),
            2 => Just(Step::Fill),
        ]
    }

    /// A cache, and which records are in it: all up to `filled`, and those that were applied.
    #[derive(Clone, Default)]
    struct Cache {
        mark: Option<PartitionMark>,
        trusted: bool,
        filled: u128,
        applied: std::collections::BTreeSet<u128>,
    }

    impl Cache {
        fn apply(&mut self, advance: &Advance, records: std::ops::RangeInclusive<u128>) {
            self.applied.extend(records);
            let (mark, advanced) = advance.decide(self.mark.as_ref());
            self.mark = Some(mark);
            if advanced.continuity != Continuity::Continuous {
                self.trusted = false;
            }
        }

        fn lacks_one(&self, upto: u128) -> bool {
            (self.filled + 1..=upto).any(|record| !self.applied.contains(&record))
        }
    }

    proptest! {
        #[test]
        fn a_trusted_cache_lacks_no_record_before_its_mark(
            steps in prop::collection::vec(step(), 1..80),
        ) {
            let mut cache = Cache::default();
            let mut history = vec![cache.clone()];
            let mut calls: Vec<(Advance, std::ops::RangeInclusive<u128>)> = Vec::new();
            // What each worker applied last, and what anybody did.
            let (mut workers, mut newest) = ([0_u128; 3], 0);
            for step in steps {
                match step {
                    Step::Apply(worker, count) => {
                        let last = workers[worker];
                        let upto = last + count;
                        let after = match last {
                            0 => ReadFrom::Start,
                            last => ReadFrom::After(Offset(last)),
                        };
                        let call = (Advance::empty(0, after, Offset(upto)), last + 1..=upto);
                        cache.apply(&call.0, call.1.clone());
                        calls.push(call);
                        workers[worker] = upto;
                        newest = newest.max(upto);
                    }
                    Step::Begin(worker, behind) => workers[worker] = newest.saturating_sub(behind),
                    Step::FallBack(back) => {
                        let index = history.len().saturating_sub(back + 1);
                        cache = history[index].clone();
                    }
                    Step::Repeat(back) => {
                        if let Some((advance, records)) = calls.iter().rev().nth(back) {
                            cache.apply(advance, records.clone());
                        }
                    }
                    Step::Fill => {
                        cache.filled = newest;
                        cache.trusted = true;
                    }
                }
                if let (true, Some(mark)) = (cache.trusted, cache.mark) {
                    prop_assert!(!cache.lacks_one(mark.upto.0), "{:?}", mark);
                }
                history.push(cache.clone());
            }
        }
    }
}
