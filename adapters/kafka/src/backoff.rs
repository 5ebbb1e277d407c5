//! How long to pause before something is tried again.

use std::time::Duration;

/// Pauses that double, up to a most, and up to half as much again by chance.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    most: Duration,
    failures: u32,
}

impl Backoff {
    pub(crate) fn new(first: Duration, most: Duration) -> Self {
        let failures = 0;
        Self { first, most, failures }
    }

    /// The pause after one more failure.
    pub(crate) fn pause(&mut self) -> Duration {
        let doubled = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        self.failures = self.failures.saturating_add(1);
        let pause = self.first.saturating_mul(doubled).min(self.most);
        let chance = u32::from(uuid::Uuid::new_v4().as_bytes()[0]);
        pause + pause * chance / 512
    }

    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}
