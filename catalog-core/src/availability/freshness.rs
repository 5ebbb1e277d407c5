//! How old the availability in a cache is. It is decided from the marks of all partitions, and from
//! more than one clock.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use stockade_change_feed::Timestamp;

use crate::availability::cache::{CacheRead, Coverage};
use crate::availability::marks::{Completeness, PartitionMark};

/// For how long a measured lag of the consumer is used.
const LAG_COUNTS_FOR: Duration = Duration::from_secs(30);

/// How old the content of a cache is. If the age is unknown, the cache counts as stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Everything that was committed up to this long ago is in the cache.
    Age(Duration),
    /// The cache could not be read.
    Unread,
    /// The cache is new, was emptied or has lost writes, and no fill has finished since.
    Unfilled,
    /// A partition has no heartbeat, so its age is unknown.
    Incomplete,
    /// The oldest mark is this far in the future, more than the clocks of two hosts may differ.
    ClockAhead(Duration),
}

impl Freshness {
    /// The age, if it is known.
    #[must_use]
    pub fn age(self) -> Option<Duration> {
        match self {
            Self::Age(age) => Some(age),
            Self::Unread | Self::Unfilled | Self::Incomplete | Self::ClockAhead(_) => None,
        }
    }

    /// Whether the age is known, and at most this.
    #[must_use]
    pub fn is_within(self, most: Duration) -> bool {
        self.age().is_some_and(|age| age <= most)
    }
}

impl fmt::Display for Freshness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Age(age) => write!(f, "the cache is complete up to {age:?} ago"),
            Self::Unread => f.write_str("the cache could not be read"),
            Self::Unfilled => {
                f.write_str("the cache is new, was emptied or has lost writes; wait for a refill")
            }
            Self::Incomplete => f.write_str(
                "a partition of the stock events has no heartbeat in the cache; check the relay",
            ),
            Self::ClockAhead(ahead) => write!(
                f,
                "the cache's marks are {ahead:?} in the future; check the clocks"
            ),
        }
    }
}

/// The time up to which all partitions are complete; `None` when one of them has no heartbeat.
///
/// The newest heartbeat says how many partitions there are. Marks of higher partitions are from a
/// topic that had more of them, and marks of an older epoch are from a history that has ended. The
/// result contains its epoch, because the clock of a new epoch may be behind that of the old one.
#[must_use]
pub fn complete_as_of(marks: &[PartitionMark]) -> Option<(u32, Timestamp)> {
    let complete: Vec<(u32, Completeness)> = marks
        .iter()
        .filter_map(|mark| Some((mark.partition, mark.complete?)))
        .collect();
    let (_, newest) = complete
        .iter()
        .max_by_key(|(_, of)| (of.epoch, of.complete_as_of, of.partitions))?;
    let current: BTreeMap<u32, Timestamp> = complete
        .iter()
        .filter(|(partition, of)| *partition < newest.partitions && of.epoch == newest.epoch)
        .map(|(partition, of)| (*partition, of.complete_as_of))
        .collect();
    let all = u32::try_from(current.len()) == Ok(newest.partitions);
    let oldest = current.into_values().min().filter(|_| all)?;
    Some((newest.epoch, oldest))
}

/// Follows the freshness of a cache for one reader.
///
/// A mark is a time on inventory's clock, and the reader's wall clock may be wrong. So the age is
/// also counted on the reader's monotonic clock, from the moment at which it last saw the marks
/// advance. The larger of the two ages counts. If the lag of the cache's worker is known, it is the
/// third age.
#[derive(Clone, Copy, Debug)]
pub struct FreshnessTracker {
    skew: Duration,
    /// The newest time seen, and when it was first seen, on the monotonic clock.
    newest: Option<((u32, Timestamp), Duration)>,
    /// The lag, and when it was read, on the monotonic clock.
    lag: Option<(Duration, Duration)>,
}

impl FreshnessTracker {
    /// A reader that accepts marks up to `skew` in the future, because the clocks of two hosts
    /// differ.
    #[must_use]
    pub fn new(skew: Duration) -> Self {
        Self {
            skew,
            newest: None,
            lag: None,
        }
    }

    /// The freshness of a cache that was just read, at this time on the reader's wall clock and on
    /// its monotonic clock.
    pub fn observe(&mut self, read: &CacheRead, now: Timestamp, monotonic: Duration) -> Freshness {
        if read.coverage == Coverage::Unfilled {
            return Freshness::Unfilled;
        }
        let Some(reached) = complete_as_of(&read.marks) else {
            return Freshness::Incomplete;
        };
        let advanced_at = match self.newest {
            Some((newest, at)) if reached <= newest => at,
            _ => {
                self.newest = Some((reached, monotonic));
                monotonic
            }
        };
        let (_, complete) = reached;
        let by_wall_clock = match (now.since(complete), complete.since(now)) {
            (Some(age), _) => age,
            (None, Some(ahead)) if ahead <= self.skew => Duration::ZERO,
            (None, ahead) => return Freshness::ClockAhead(ahead.unwrap_or(Duration::MAX)),
        };
        let by_monotonic = monotonic.saturating_sub(advanced_at);
        let by_lag = self.lag_at(monotonic).unwrap_or_default();
        Freshness::Age(by_wall_clock.max(by_monotonic).max(by_lag))
    }

    /// Records the age of the oldest record that the cache's worker has not finished, measured at
    /// this time on the monotonic clock; `None` when it could not be read. It is used for 30 s.
    pub fn note_lag(&mut self, age: Option<Duration>, monotonic: Duration) {
        self.lag = age.map(|age| (age, monotonic));
    }

    fn lag_at(&self, monotonic: Duration) -> Option<Duration> {
        let (age, read_at) = self.lag?;
        let since = monotonic.saturating_sub(read_at);
        (since <= LAG_COUNTS_FOR).then_some(age)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use stockade_change_feed::Offset;

    use super::*;

    const SKEW: Duration = Duration::from_secs(5);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    fn marks(times: &[i64]) -> Vec<PartitionMark> {
        let partitions = u32::try_from(times.len()).unwrap();
        (0..partitions)
            .zip(times)
            .map(|(partition, &seconds)| mark(partition, partitions, 0, seconds))
            .collect()
    }

    fn mark(partition: u32, partitions: u32, epoch: u32, seconds: i64) -> PartitionMark {
        PartitionMark {
            partition,
            upto: Offset(1),
            complete: Some(Completeness {
                partitions,
                epoch,
                complete_as_of: at(seconds),
            }),
        }
    }

    fn filled(marks: Vec<PartitionMark>) -> CacheRead {
        CacheRead::new(Vec::new(), marks, Coverage::Filled)
    }

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_oldest_of_all_partitions_counts() {
        assert_eq!(complete_as_of(&marks(&[100, 40, 99])), Some((0, at(40))));
        assert_eq!(complete_as_of(&[]), None);
    }

    #[test]
    fn a_partition_without_a_mark_makes_it_unknown() {
        for missing in 0..3 {
            let mut marks = marks(&[100, 100, 100]);
            marks.remove(missing);
            assert_eq!(complete_as_of(&marks), None);
        }
        let mut silent = marks(&[100, 100]);
        silent[1].complete = None;
        assert_eq!(complete_as_of(&silent), None);
        let hostile = mark(0, u32::MAX, 0, 1);
        assert_eq!(complete_as_of(&[hostile]), None);
    }

    #[test]
    fn the_newest_mark_says_how_many_partitions_there_are() {
        let mut grown = marks(&[100, 100]);
        grown.extend(marks(&[0, 0, 101]).split_off(2));
        assert_eq!(complete_as_of(&grown), Some((0, at(100))));
        let mut shrunk = marks(&[0, 0, 50]);
        shrunk[0] = marks(&[100, 100])[0];
        shrunk[1] = marks(&[100, 100])[1];
        assert_eq!(complete_as_of(&shrunk), Some((0, at(100))));
    }

    #[test]
    fn marks_of_an_older_epoch_count_for_nothing() {
        let mixed = [mark(0, 2, 1, 100), mark(1, 2, 0, 200)];
        assert_eq!(complete_as_of(&mixed), None);
        let restored = [mark(0, 2, 1, 100), mark(1, 2, 1, 200)];
        assert_eq!(complete_as_of(&restored), Some((1, at(100))));
        // The new epoch's clock is behind: that is an advance all the same.
        let mut tracker = FreshnessTracker::new(SKEW);
        tracker.observe(&filled(marks(&[110])), at(100), secs(0));
        let restored = filled(vec![mark(0, 1, 1, 98)]);
        let seen = tracker.observe(&restored, at(100), secs(20));
        assert_eq!(seen, Freshness::Age(secs(2)));
    }

    #[test]
    fn a_mark_slightly_in_the_future_is_fresh_and_one_further_off_an_error() {
        let mut tracker = FreshnessTracker::new(SKEW);
        let fresh = tracker.observe(&filled(marks(&[105])), at(100), secs(0));
        assert_eq!(fresh, Freshness::Age(Duration::ZERO));
        let ahead = tracker.observe(&filled(marks(&[106])), at(100), secs(0));
        assert_eq!(ahead, Freshness::ClockAhead(secs(6)));
    }

    #[test]
    fn a_mark_that_stops_is_stale_though_the_wall_clock_stands_still() {
        let mut tracker = FreshnessTracker::new(SKEW);
        for monotonic in [0, 10, 40] {
            let seen = tracker.observe(&filled(marks(&[100])), at(100), secs(monotonic));
            assert_eq!(seen, Freshness::Age(secs(monotonic)));
        }
        let seen = tracker.observe(&filled(marks(&[101])), at(101), secs(41));
        assert_eq!(seen, Freshness::Age(Duration::ZERO));
        let back = tracker.observe(&filled(marks(&[99])), at(99), secs(50));
        assert_eq!(back, Freshness::Age(secs(9)), "going back is no advance");
    }

    #[test]
    fn marks_say_nothing_of_a_cache_that_is_not_filled() {
        let mut tracker = FreshnessTracker::new(SKEW);
        let mut read = filled(marks(&[100]));
        read.coverage = Coverage::Unfilled;
        let seen = tracker.observe(&read, at(100), secs(0));
        assert_eq!(seen, Freshness::Unfilled);
        assert!(!seen.is_within(Duration::MAX));
    }

    #[test]
    fn lag_counts_while_it_is_recent() {
        let mut tracker = FreshnessTracker::new(SKEW);
        tracker.note_lag(Some(secs(33)), secs(0));
        let seen = tracker.observe(&filled(marks(&[100])), at(100), secs(1));
        assert_eq!(seen, Freshness::Age(secs(33)));
        let seen = tracker.observe(&filled(marks(&[131])), at(131), secs(31));
        assert_eq!(seen, Freshness::Age(Duration::ZERO));
        tracker.note_lag(Some(secs(33)), secs(31));
        tracker.note_lag(None, secs(31));
        let seen = tracker.observe(&filled(marks(&[131])), at(131), secs(31));
        assert_eq!(seen, Freshness::Age(Duration::ZERO));
    }

    proptest! {
        #[test]
        fn no_partition_is_older_than_what_all_are_complete_to(times in prop::collection::vec(0_i64..1_000, 1..9)) {
            let (_, complete) = complete_as_of(&marks(&times)).unwrap();
            prop_assert!(times.iter().all(|&time| at(time) >= complete));
        }

        #[test]
        fn the_age_is_never_less_than_any_clock_says(
            complete in 0_i64..100, now in 0_i64..200, waited in 0_u64..100,
        ) {
            let mut tracker = FreshnessTracker::new(SKEW);
            tracker.observe(&filled(marks(&[complete])), at(now), secs(0));
            let seen = tracker.observe(&filled(marks(&[complete])), at(now), secs(waited));
            if let Some(age) = seen.age() {
                prop_assert!(age >= secs(waited));
                prop_assert!(age >= at(now).since(at(complete)).unwrap_or_default());
            } else {
                prop_assert!(complete > now + 5);
            }
        }
    }
}
