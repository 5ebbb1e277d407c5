//! When pages read the cache, and when they ask inventory instead.
//!
//! A pure state machine: observations and the time go in, a decision comes out.

use std::fmt;
use std::time::Duration;

use crate::availability::freshness::Freshness;

/// When a circuit opens and closes.
///
/// It closes only at an age well below the one at which it opens, so that it does not flap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CircuitConfig {
    open_after: Duration,
    close_below: Duration,
    probe_every: Duration,
    probes_to_close: u32,
    failures_to_open: u32,
}

impl Default for CircuitConfig {
    /// Opens when the cache is older than 30 s, or when three pages in a row could not read it.
    /// Closes when two probes, a second apart, find it at most 10 s old.
    fn default() -> Self {
        Self {
            open_after: Duration::from_secs(30),
            close_below: Duration::from_secs(10),
            probe_every: Duration::from_secs(1),
            probes_to_close: 2,
            failures_to_open: 3,
        }
    }
}

impl CircuitConfig {
    /// Sets the age above which the circuit opens (30 s).
    #[must_use]
    pub fn with_open_after(mut self, age: Duration) -> Self {
        self.open_after = age;
        self
    }

    /// Sets the age up to which a probe counts as fresh (10 s); never more than the age at which
    /// the circuit opens.
    #[must_use]
    pub fn with_close_below(mut self, age: Duration) -> Self {
        self.close_below = age;
        self
    }

    /// Sets the time between probes (1 s).
    #[must_use]
    pub fn with_probe_every(mut self, interval: Duration) -> Self {
        self.probe_every = interval;
        self
    }

    /// Sets the number of fresh probes in a row that close the circuit, at least 1 (2).
    #[must_use]
    pub fn with_probes_to_close(mut self, probes: u32) -> Self {
        self.probes_to_close = probes;
        self
    }

    /// Sets the number of failed reads in a row that open the circuit, at least 1 (3). A page whose
    /// own read fails asks inventory in any case.
    #[must_use]
    pub fn with_failures_to_open(mut self, failures: u32) -> Self {
        self.failures_to_open = failures;
        self
    }

    fn is_fresh(&self, freshness: Freshness) -> bool {
        freshness.is_within(self.close_below.min(self.open_after))
    }
}

/// The state of a circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CircuitState {
    /// Pages read the cache.
    Closed,
    /// Pages ask inventory.
    Open,
    /// Pages ask inventory, and the last probe found the cache fresh.
    HalfOpen,
}

impl CircuitState {
    /// The name in metrics, such as `half_open`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

impl fmt::Display for CircuitState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A change of a circuit's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CircuitChange {
    /// The state before.
    pub from: CircuitState,
    /// The state after.
    pub to: CircuitState,
    /// The observation that caused the change.
    pub freshness: Freshness,
}

/// What a page does with the cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// It reads the cache.
    Cache,
    /// It reads the cache to find out how fresh it is, on behalf of all pages.
    Probe,
    /// It does not read the cache.
    Bypass,
}

/// A circuit breaker in front of a cache.
#[derive(Clone, Copy, Debug)]
pub struct Circuit {
    config: CircuitConfig,
    state: CircuitState,
    /// Reads that failed in a row, while the circuit is closed.
    failures: u32,
    fresh_probes: u32,
    /// When the next probe is due, on the monotonic clock.
    next_probe: Duration,
}

impl Circuit {
    /// A closed circuit. The first page finds out whether the cache is fresh.
    #[must_use]
    pub fn new(config: CircuitConfig) -> Self {
        Self {
            config,
            state: CircuitState::Closed,
            failures: 0,
            fresh_probes: 0,
            next_probe: Duration::ZERO,
        }
    }

    /// The current state.
    #[must_use]
    pub fn state(&self) -> CircuitState {
        self.state
    }

    /// Decides what a page does at this time on the monotonic clock. While the circuit is not
    /// closed, one page in each interval probes.
    pub fn route(&mut self, now: Duration) -> Route {
        match self.state {
            CircuitState::Closed => Route::Cache,
            CircuitState::Open | CircuitState::HalfOpen if now >= self.next_probe => {
                self.next_probe = now.saturating_add(self.config.probe_every);
                Route::Probe
            }
            CircuitState::Open | CircuitState::HalfOpen => Route::Bypass,
        }
    }

    /// Records what a page on that route observed, at this time on the monotonic clock.
    ///
    /// An observation is ignored when the page read the cache before the circuit opened and reports
    /// after it: only probes close the circuit.
    pub fn observe(
        &mut self,
        route: Route,
        freshness: Freshness,
        now: Duration,
    ) -> Option<CircuitChange> {
        match (self.state, route) {
            (_, Route::Bypass) => None,
            (CircuitState::Closed, _) if !self.is_refuted(freshness) => None,
            (CircuitState::Closed, _) => {
                self.next_probe = now.saturating_add(self.config.probe_every);
                self.turn(CircuitState::Open, freshness)
            }
            (_, Route::Cache) => None,
            (_, Route::Probe) if !self.config.is_fresh(freshness) => {
                self.turn(CircuitState::Open, freshness)
            }
            (_, Route::Probe) => {
                self.fresh_probes += 1;
                let enough = self.fresh_probes >= self.config.probes_to_close;
                let next = if enough {
                    CircuitState::Closed
                } else {
                    CircuitState::HalfOpen
                };
                self.turn(next, freshness)
            }
        }
    }

    /// Whether this observation, with the earlier ones, opens the circuit.
    fn is_refuted(&mut self, freshness: Freshness) -> bool {
        self.failures = match freshness {
            Freshness::Unread => self.failures.saturating_add(1),
            _ => 0,
        };
        match freshness {
            Freshness::Unread => self.failures >= self.config.failures_to_open,
            _ => !freshness.is_within(self.config.open_after),
        }
    }

    fn turn(&mut self, to: CircuitState, freshness: Freshness) -> Option<CircuitChange> {
        if to != CircuitState::HalfOpen {
            (self.fresh_probes, self.failures) = (0, 0);
        }
        let from = std::mem::replace(&mut self.state, to);
        (from != to).then_some(CircuitChange {
            from,
            to,
            freshness,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use CircuitState::{Closed, HalfOpen, Open};

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn age(seconds: u64) -> Freshness {
        Freshness::Age(secs(seconds))
    }

    /// What a page does, at second `now`, to a circuit in front of a cache that is so fresh.
    fn page(circuit: &mut Circuit, freshness: Freshness, now: u64) -> (Route, CircuitState) {
        let route = circuit.route(secs(now));
        circuit.observe(route, freshness, secs(now));
        (route, circuit.state())
    }

    #[test]
    fn it_opens_beyond_the_age_and_closes_after_two_fresh_probes() {
        let mut circuit = Circuit::new(CircuitConfig::default());
        assert_eq!(page(&mut circuit, age(30), 0), (Route::Cache, Closed));
        assert_eq!(page(&mut circuit, age(31), 1), (Route::Cache, Open));
        assert_eq!(page(&mut circuit, age(0), 1), (Route::Bypass, Open));
        assert_eq!(page(&mut circuit, age(11), 2), (Route::Probe, Open));
        assert_eq!(page(&mut circuit, age(10), 3), (Route::Probe, HalfOpen));
        assert_eq!(page(&mut circuit, age(0), 3), (Route::Bypass, HalfOpen));
        assert_eq!(page(&mut circuit, age(11), 4), (Route::Probe, Open));
        assert_eq!(page(&mut circuit, age(0), 5), (Route::Probe, HalfOpen));
        assert_eq!(page(&mut circuit, age(0), 6), (Route::Probe, Closed));
        assert_eq!(page(&mut circuit, age(0), 6), (Route::Cache, Closed));
    }

    #[test]
    fn what_is_unknown_is_stale() {
        for unknown in [
            Freshness::Unfilled,
            Freshness::Incomplete,
            Freshness::ClockAhead(secs(9)),
        ] {
            let mut circuit = Circuit::new(CircuitConfig::default());
            assert_eq!(page(&mut circuit, unknown, 0), (Route::Cache, Open));
            assert_eq!(page(&mut circuit, unknown, 1), (Route::Probe, Open));
        }
    }

    #[test]
    fn reads_that_fail_open_it_only_in_a_row() {
        let mut circuit = Circuit::new(CircuitConfig::default());
        for _ in 0..10 {
            assert_eq!(page(&mut circuit, Freshness::Unread, 0).1, Closed);
            assert_eq!(page(&mut circuit, Freshness::Unread, 0).1, Closed);
            assert_eq!(page(&mut circuit, age(0), 0).1, Closed);
        }
        for state in [Closed, Closed, Open] {
            assert_eq!(page(&mut circuit, Freshness::Unread, 1).1, state);
        }
        assert_eq!(page(&mut circuit, age(0), 2).1, HalfOpen);
        assert_eq!(page(&mut circuit, age(0), 3).1, Closed);
        assert_eq!(page(&mut circuit, Freshness::Unread, 4).1, Closed);
    }

    #[test]
    fn a_page_that_read_before_the_opening_does_not_close_it() {
        let config = CircuitConfig::default().with_probes_to_close(1);
        let mut circuit = Circuit::new(config);
        let early = circuit.route(secs(0));
        page(&mut circuit, Freshness::Incomplete, 0);
        assert_eq!(circuit.observe(early, age(0), secs(5)), None);
        assert_eq!(circuit.state(), Open);
    }

    fn freshness() -> impl Strategy<Value = Freshness> {
        prop_oneof![
            4 => (0_u64..60).prop_map(age),
            1 => Just(Freshness::Unread),
            1 => Just(Freshness::Unfilled),
            1 => Just(Freshness::Incomplete),
            1 => Just(Freshness::ClockAhead(secs(60))),
        ]
    }

    proptest! {
        #[test]
        fn it_opens_on_what_is_stale_and_closes_on_what_is_fresh_only(
            steps in prop::collection::vec((freshness(), 0_u64..3), 1..200),
        ) {
            let mut circuit = Circuit::new(CircuitConfig::default());
            let mut now = 0;
            let (mut fresh_in_a_row, mut failed_in_a_row) = (0, 0);
            for (freshness, pause) in steps {
                now += pause;
                let before = circuit.state();
                let (route, after) = page(&mut circuit, freshness, now);
                let unread = freshness == Freshness::Unread;
                let stale = !freshness.is_within(secs(30)) && !unread;
                let fresh = freshness.is_within(secs(10));
                match route {
                    Route::Cache => {
                        failed_in_a_row = if unread { failed_in_a_row + 1 } else { 0 };
                        prop_assert_eq!(after == Open, stale || failed_in_a_row == 3);
                    }
                    Route::Bypass => prop_assert_eq!(after, before),
                    Route::Probe => {
                        fresh_in_a_row = if fresh { fresh_in_a_row + 1 } else { 0 };
                        prop_assert_eq!(after == Closed, fresh_in_a_row == 2);
                    }
                }
                if after == Closed || before == Closed {
                    fresh_in_a_row = 0;
                }
                if after != Closed {
                    failed_in_a_row = 0;
                }
            }
        }

        #[test]
        fn between_the_two_ages_it_stays_what_it_is(
            ages in prop::collection::vec(11_u64..=30, 1..100), first_stale: bool,
        ) {
            let mut circuit = Circuit::new(CircuitConfig::default());
            if first_stale {
                page(&mut circuit, Freshness::Incomplete, 0);
            }
            let state = circuit.state();
            for (now, seconds) in (1..).zip(ages) {
                prop_assert_eq!(page(&mut circuit, age(seconds), now).1, state);
            }
        }

        #[test]
        fn one_page_in_an_interval_probes(times in prop::collection::vec(0_u64..100, 1..300)) {
            let mut circuit = Circuit::new(CircuitConfig::default().with_probe_every(secs(7)));
            page(&mut circuit, Freshness::Incomplete, 0);
            let mut times = times;
            times.sort_unstable();
            let probes: Vec<u64> = times
                .into_iter()
                .filter(|&now| page(&mut circuit, Freshness::Unread, now).0 == Route::Probe)
                .collect();
            prop_assert!(probes.windows(2).all(|pair| pair[1] - pair[0] >= 7));
        }
    }
}
