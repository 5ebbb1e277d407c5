//! How old the availability in a cache is: decided from the marks of all partitions, and trusting
//! no single clock.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use stockade_change_feed::Timestamp;

use crate::cache::PartitionMark;

/// How long a reading of the consumer's lag counts.
const LAG_COUNTS_FOR: Duration = Duration::from_secs(30);

/// How old the content of a cache is. What is not known counts as stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Everything that was committed up to this long ago is in it.
    Age(Duration),
    /// The cache could not be read.
    Unread,
    /// A partition has no mark: nobody knows how far it is.
    Incomplete,
    /// The oldest mark lies this far in the future, which is more than two clocks may differ.
    ClockAhead(Duration),
}

impl Freshness {
    /// The age, where it is known.
    #[must_use]
    pub fn age(self) -> Option<Duration> {
        match self {
            Self::Age(age) => Some(age),
            Self::Unread | Self::Incomplete | Self::ClockAhead(_) => None,
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
            Self::Unread => f.write_str("the cache can not be read"),
            Self::Incomplete => f.write_str("a partition of the stock events has no mark"),
            Self::ClockAhead(ahead) => {
                write!(
                    f,
                    "the cache's marks lie {ahead:?} in the future; compare the clocks"
                )
            }
        }
    }
}

/// The time up to which all partitions are complete; `None` where one of them has no mark.
///
/// How many there are is what the newest mark says. Marks of partitions beyond that are left from
/// a topic that was larger.
#[must_use]
pub fn complete_as_of(marks: &[PartitionMark]) -> Option<Timestamp> {
    let newest = marks
        .iter()
        .max_by_key(|mark| (mark.complete_as_of, mark.partitions))?;
    let current: BTreeMap<u32, Timestamp> = marks
        .iter()
        .filter(|mark| mark.partition < newest.partitions)
        .map(|mark| (mark.partition, mark.complete_as_of))
        .collect();
    let all = u32::try_from(current.len()) == Ok(newest.partitions);
    current.into_values().min().filter(|_| all)
}

/// Follows the freshness of a cache on behalf of one reader.
///
/// A mark is a time on inventory's clock, and the reader's own may be wrong. So the age is also
/// counted on the reader's monotonic clock, from when it last saw the marks advance; the older of
/// the two counts. The lag of the worker that fills the cache, where known, is the third.
#[derive(Clone, Copy, Debug)]
pub struct FreshnessTracker {
    skew: Duration,
    /// The newest time seen, and when it was first seen, on the monotonic clock.
    newest: Option<(Timestamp, Duration)>,
    /// The lag, and when it was read, on the monotonic clock.
    lag: Option<(Duration, Duration)>,
}

impl FreshnessTracker {
    /// A reader that tolerates marks this far in the future, as two hosts' clocks differ.
    #[must_use]
    pub fn new(skew: Duration) -> Self {
        Self {
            skew,
            newest: None,
            lag: None,
        }
    }

    /// The freshness according to marks that were just read, at this time on the reader's wall
    /// clock and monotonic clock.
    pub fn observe(
        &mut self,
        marks: &[PartitionMark],
        now: Timestamp,
        monotonic: Duration,
    ) -> Freshness {
        let Some(complete) = complete_as_of(marks) else {
            return Freshness::Incomplete;
        };
        let advanced_at = match self.newest {
            Some((newest, at)) if complete <= newest => at,
            _ => {
                self.newest = Some((complete, monotonic));
                monotonic
            }
        };
        let by_wall_clock = match (now.since(complete), complete.since(now)) {
            (Some(age), _) => age,
            (None, Some(ahead)) if ahead <= self.skew => Duration::ZERO,
            (None, ahead) => return Freshness::ClockAhead(ahead.unwrap_or(Duration::MAX)),
        };
        let by_monotonic = monotonic.saturating_sub(advanced_at);
        let by_lag = self.lag_at(monotonic).unwrap_or_default();
        Freshness::Age(by_wall_clock.max(by_monotonic).max(by_lag))
    }

    /// Notes the age of the oldest record that the cache's worker has not finished, read at this
    /// time on the monotonic clock; `None` where it can't be read. It counts for 30 s.
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

    use super::*;

    const SKEW: Duration = Duration::from_secs(5);

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    fn marks(times: &[i64]) -> Vec<PartitionMark> {
        let partitions = u32::try_from(times.len()).unwrap();
        (0..partitions)
            .zip(times)
            .map(|(partition, &seconds)| PartitionMark {
                partition,
                partitions,
                complete_as_of: at(seconds),
            })
            .collect()
    }

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn the_oldest_of_all_partitions_counts() {
        assert_eq!(complete_as_of(&marks(&[100, 40, 99])), Some(at(40)));
        assert_eq!(complete_as_of(&[]), None);
    }

    #[test]
    fn a_partition_without_a_mark_makes_it_unknown() {
        for missing in 0..3 {
            let mut marks = marks(&[100, 100, 100]);
            marks.remove(missing);
            assert_eq!(complete_as_of(&marks), None);
        }
        let hostile = PartitionMark {
            partition: 0,
            partitions: u32::MAX,
            complete_as_of: at(1),
        };
        assert_eq!(complete_as_of(&[hostile]), None);
    }

    #[test]
    fn the_newest_mark_says_how_many_partitions_there_are() {
        let mut grown = marks(&[100, 100]);
        grown.extend(marks(&[0, 0, 101]).split_off(2));
        assert_eq!(complete_as_of(&grown), Some(at(100)));
        let mut shrunk = marks(&[0, 0, 50]);
        shrunk[0] = marks(&[100, 100])[0];
        shrunk[1] = marks(&[100, 100])[1];
        assert_eq!(complete_as_of(&shrunk), Some(at(100)));
    }

    #[test]
    fn a_mark_slightly_in_the_future_is_fresh_and_one_further_off_an_error() {
        let mut tracker = FreshnessTracker::new(SKEW);
        let fresh = tracker.observe(&marks(&[105]), at(100), secs(0));
        assert_eq!(fresh, Freshness::Age(Duration::ZERO));
        let ahead = tracker.observe(&marks(&[106]), at(100), secs(0));
        assert_eq!(ahead, Freshness::ClockAhead(secs(6)));
    }

    #[test]
    fn a_mark_that_stops_is_stale_though_the_wall_clock_stands_still() {
        let mut tracker = FreshnessTracker::new(SKEW);
        for monotonic in [0, 10, 40] {
            let seen = tracker.observe(&marks(&[100]), at(100), secs(monotonic));
            assert_eq!(seen, Freshness::Age(secs(monotonic)));
        }
        let seen = tracker.observe(&marks(&[101]), at(101), secs(41));
        assert_eq!(seen, Freshness::Age(Duration::ZERO));
        let back = tracker.observe(&marks(&[99]), at(99), secs(50));
        assert_eq!(back, Freshness::Age(secs(9)), "going back is no advance");
    }

    #[test]
    fn lag_counts_while_it_is_recent() {
        let mut tracker = FreshnessTracker::new(SKEW);
        tracker.note_lag(Some(secs(33)), secs(0));
        let seen = tracker.observe(&marks(&[100]), at(100), secs(1));
        assert_eq!(seen, Freshness::Age(secs(33)));
        let seen = tracker.observe(&marks(&[131]), at(131), secs(31));
        assert_eq!(seen, Freshness::Age(Duration::ZERO));
        tracker.note_lag(Some(secs(33)), secs(31));
        tracker.note_lag(None, secs(31));
        let seen = tracker.observe(&marks(&[131]), at(131), secs(31));
        assert_eq!(seen, Freshness::Age(Duration::ZERO));
    }

    proptest! {
        #[test]
        fn no_partition_is_older_than_what_all_are_complete_to(times in prop::collection::vec(0_i64..1_000, 1..9)) {
            let complete = complete_as_of(&marks(&times)).unwrap();
            prop_assert!(times.iter().all(|&time| at(time) >= complete));
        }

        #[test]
        fn the_age_is_never_less_than_any_clock_says(
            complete in 0_i64..100, now in 0_i64..200, waited in 0_u64..100,
        ) {
            let mut tracker = FreshnessTracker::new(SKEW);
            tracker.observe(&marks(&[complete]), at(now), secs(0));
            let seen = tracker.observe(&marks(&[complete]), at(now), secs(waited));
            if let Some(age) = seen.age() {
                prop_assert!(age >= secs(waited));
                prop_assert!(age >= at(now).since(at(complete)).unwrap_or_default());
            } else {
                prop_assert!(complete > now + 5);
            }
        }
    }
}
