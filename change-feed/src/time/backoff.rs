//! Pauses between attempts.

use std::time::Duration;

use super::chance;

/// Pauses that double, from `first` up to `most`. Each is lengthened at random by up to half, so
/// that callers which failed together do not retry together.
///
/// ```
/// use std::time::Duration;
/// use stockade_change_feed::time::Backoff;
///
/// let mut backoff = Backoff::new(Duration::from_millis(10), Duration::from_secs(1));
/// let first = backoff.pause();
/// assert!(first >= Duration::from_millis(10) && first <= Duration::from_millis(15));
/// assert!(backoff.pause() >= Duration::from_millis(20));
/// backoff.reset(); // after a success
/// assert!(backoff.pause() < Duration::from_millis(20));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    failures: u32,
}

impl Backoff {
    /// Pauses from `first` to `most`. If `most` is shorter than `first`, all pauses are `first`.
    #[must_use]
    pub const fn new(first: Duration, most: Duration) -> Self {
        Self {
            first,
            most,
            failures: 0,
        }
    }

    /// The next pause.
    pub fn pause(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.after(self.failures)
    }

    /// The pause after this many failures in a row; no pause after 0.
    #[must_use]
    pub fn after(&self, failures: u32) -> Duration {
        let Some(doublings) = failures.checked_sub(1) else {
            return Duration::ZERO;
        };
        let factor = 1_u32.checked_shl(doublings).unwrap_or(u32::MAX);
        let base = self
            .first
            .saturating_mul(factor)
            .min(self.most.max(self.first));
        lengthened(base, 0.5)
    }

    /// Starts again with the first pause.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

/// A random duration between 75 % and 125 % of `interval`, so that workers which started together
/// do not stay in step.
#[must_use]
pub fn jittered(interval: Duration) -> Duration {
    let interval = interval.min(LONGEST);
    lengthened(interval - interval / 4, 2.0 / 3.0)
}

/// No pause is longer than a year, so that arithmetic on it can't overflow.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

fn lengthened(base: Duration, by_at_most: f64) -> Duration {
    let base = base.min(LONGEST);
    base + base.mul_f64(by_at_most * chance::fraction())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pauses_double_and_stay_between_the_bounds(
            first in 1_u64..1_000,
            times in 1_u64..1_000,
            failures in 1_u32..100,
        ) {
            let first = Duration::from_millis(first);
            let most = first * u32::try_from(times).unwrap();
            let backoff = Backoff::new(first, most);
            let base = first.saturating_mul(2_u32.saturating_pow(failures - 1)).min(most);
            let pause = backoff.after(failures);
            prop_assert!(pause >= base && pause <= base + base / 2 + Duration::from_nanos(1));
            prop_assert_eq!(backoff.after(0), Duration::ZERO);
        }

        #[test]
        fn jitter_stays_within_a_quarter(seconds in 0_u64..100_000) {
            let interval = Duration::from_secs(seconds);
            let jittered = jittered(interval);
            prop_assert!(jittered >= interval - interval / 4);
            prop_assert!(jittered <= interval + interval / 4 + Duration::from_nanos(2));
        }
    }

    #[test]
    fn the_longest_intervals_do_not_overflow() {
        let _ = jittered(Duration::MAX);
        let _ = Backoff::new(Duration::MAX, Duration::MAX).after(u32::MAX);
    }
}
