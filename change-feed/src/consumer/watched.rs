//! How long the handler has a batch in hand.

use std::pin::pin;
use std::time::Duration;

use metrics::{Gauge, gauge};

use super::Consumer;

const IN_HAND: &str = "stockade_feed_batch_in_hand_seconds";
/// After this long a warning is logged, and again each time that it has doubled.
const LONG: Duration = Duration::from_secs(60);

impl Consumer {
    /// Waits for the handler's `work`, and reports meanwhile how long it takes.
    pub(super) async fn watched<T>(
        &self,
        records: usize,
        work: impl Future<Output = T> + Send,
    ) -> T {
        let age = Age(gauge!(IN_HAND, "group" => self.group.as_str().to_owned()));
        let started = self.clock.monotonic();
        let mut long = LONG;
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = self.clock.sleep(self.heartbeat) => {}
            }
            let in_hand = self.clock.monotonic().saturating_sub(started);
            age.0.set(in_hand);
            if in_hand >= long {
                tracing::warn!(records, ?in_hand, "the handler has not finished yet");
                long = in_hand.saturating_mul(2);
            }
        }
    }
}

/// The gauge. It is set back to 0 however the work ends.
struct Age(Gauge);

impl Drop for Age {
    fn drop(&mut self) {
        self.0.set(0);
    }
}
