//! How long calls took.

use std::sync::Mutex;
use std::time::Duration;

use hdrhistogram::Histogram;

/// The times of many calls, to a thousandth.
pub(crate) struct Times(Mutex<Histogram<u64>>);

impl Times {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(
            Histogram::new(3).expect("three digits are possible"),
        ))
    }

    pub(crate) fn add(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let mut times = self.0.lock().expect("adding does not panic");
        times.record(micros).expect("it grows as needed");
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.lock().expect("adding does not panic").len()
    }

    /// The time within which this part of the calls ended.
    pub(crate) fn quantile(&self, part: f64) -> Duration {
        let times = self.0.lock().expect("adding does not panic");
        Duration::from_micros(times.value_at_quantile(part))
    }
}

impl std::fmt::Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [p50, p99, most] = [0.5, 0.99, 1.0].map(|part| self.quantile(part));
        write!(f, "p50 {p50:.1?}, p99 {p99:.1?}, longest {most:.1?}")
    }
}
