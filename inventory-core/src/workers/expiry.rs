//! Gives back the units of reservations that ran out of time.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use metrics::counter;
use stockade_change_feed::time::{Backoff, Deadline, Stop, jittered, one_for_each};
use stockade_change_feed::{Clock, Retry, SystemClock};

use crate::error::InventoryError;
use crate::ids::ReservationId;
use crate::reservation::{Expiry, Reservation};
use crate::store::{InventoryStore, ReservationTimer};
use crate::telemetry;

/// Expires reservations: those whose timers are due, and now and then by a sweep all that are
/// overdue, whatever became of their timers.
///
/// The store decides what is overdue, and each expiry takes effect once, however many workers
/// run. A timer that came early is set again for the time that is left; one that could not be
/// acted upon is set again as well.
#[derive(Clone)]
pub struct ExpiryWorker {
    store: Arc<dyn InventoryStore>,
    timer: Arc<dyn ReservationTimer>,
    sweep_interval: Duration,
    batch: usize,
    timeout: Duration,
    clock: Arc<dyn Clock>,
}

/// How long a wait for due timers lasts, before it begins again.
const TIMER_WAIT: Duration = Duration::from_secs(10);
/// The first pause after a failure, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));
/// When a timer comes again whose reservation could not be expired.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

impl ExpiryWorker {
    /// A worker that sweeps about every minute, takes 100 reservations at a time, and waits 10
    /// seconds for an answer.
    #[must_use]
    pub fn new(store: Arc<dyn InventoryStore>, timer: Arc<dyn ReservationTimer>) -> Self {
        Self {
            store,
            timer,
            sweep_interval: Duration::from_secs(60),
            batch: 100,
            timeout: Duration::from_secs(10),
            clock: Arc::new(SystemClock::new()),
        }
    }

    /// Sweeps about this often: after three quarters to one and a half of it.
    #[must_use]
    pub fn with_sweep_interval(mut self, interval: Duration) -> Self {
        self.sweep_interval = interval;
        self
    }

    /// Takes so many reservations at a time, at least 1.
    #[must_use]
    pub fn with_batch(mut self, reservations: usize) -> Self {
        self.batch = reservations.max(1);
        self
    }

    /// Waits this long for an answer of the store or the timers.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Waits on this clock. What is overdue is decided on the store's.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Runs until `stop` is done and the step at hand is finished, which takes the timeout at
    /// most a few times over. Sweeps at once, and failures end nothing.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) {
        let stopped = Stop::new();
        tokio::join!(
            stopped.when(stop),
            self.follow_timers(&stopped),
            self.sweep_from_time_to_time(&stopped),
        );
    }

    /// Expires everything that is overdue, page by page, and returns how many reservations that
    /// were.
    ///
    /// # Errors
    /// As for [`InventoryStore::expire_overdue`]; earlier pages are expired.
    pub async fn sweep(&self) -> Result<usize, InventoryError> {
        self.sweep_unless(&Stop::new()).await
    }

    async fn follow_timers(&self, stop: &Stop) {
        let mut backoff = Backoff::new(PAUSES.0, PAUSES.1);
        // A wait is dropped at the stop, and takes no timer then. What was taken is acted upon.
        while let Some(due) = stop.or(self.due()).await {
            match due {
                Ok(due) => {
                    backoff.reset();
                    self.expire(&due).await;
                }
                Err(error) => {
                    self.failed("due", &error);
                    let pause = backoff.pause();
                    stop.or(self.clock.sleep(pause)).await;
                }
            }
        }
    }

    async fn due(&self) -> Result<Vec<ReservationId>, InventoryError> {
        let timeout = TIMER_WAIT.saturating_add(self.timeout);
        let due = self.timer.due(self.batch, TIMER_WAIT);
        Deadline::after(self.clock.as_ref(), "due", timeout)
            .bound(due)
            .await
    }

    /// Acts on due timers: each is done with, or set again.
    async fn expire(&self, due: &[ReservationId]) {
        if due.is_empty() {
            return;
        }
        let expired = self.deadline("expire").bound(self.store.expire(due)).await;
        let outcomes =
            expired.and_then(|outcomes| Ok(one_for_each("expire", due.len(), outcomes)?));
        let outcomes = outcomes.unwrap_or_else(|error| vec![Err(error); due.len()]);
        let again: Vec<(ReservationId, Duration)> = due
            .iter()
            .zip(&outcomes)
            .filter_map(|(id, outcome)| Some((id.clone(), self.again_after(id, outcome)?)))
            .collect();
        if again.is_empty() {
            return;
        }
        if let Err(error) = self.deadline("arm").bound(self.timer.arm(&again)).await {
            self.failed("arm", &error);
        }
    }

    /// When the timer has to come again, if it has to.
    fn again_after(
        &self,
        id: &ReservationId,
        outcome: &Result<Expiry, InventoryError>,
    ) -> Option<Duration> {
        match outcome {
            Ok(Expiry::Expired(_)) => {
                counter!(telemetry::EXPIRED, "by" => "timer").increment(1);
                None
            }
            Ok(Expiry::NotDue { remaining }) => Some(*remaining),
            Ok(Expiry::Settled(_) | Expiry::Unknown) => None,
            Err(error) => {
                tracing::warn!(reservation = %id, %error, "a reservation could not be expired");
                self.failed("expire", error);
                match error.retry() {
                    // Coming again won't help; the sweep meets it, and says so, at its own pace.
                    Retry::Never => None,
                    Retry::After(wait) => Some(jittered(wait.max(AGAIN_AFTER))),
                    Retry::RestartTransaction | Retry::OutcomeUnknown => {
                        Some(jittered(AGAIN_AFTER))
                    }
                }
            }
        }
    }

    async fn sweep_from_time_to_time(&self, stop: &Stop) {
        let mut backoff = Backoff::new(PAUSES.0, PAUSES.1);
        loop {
            let pause = match self.sweep_unless(stop).await {
                Ok(_) => {
                    backoff.reset();
                    jittered(self.sweep_interval)
                }
                Err(error) => {
                    self.failed("expire_overdue", &error);
                    let pause = backoff.pause();
                    pause.min(jittered(self.sweep_interval))
                }
            };
            if stop.or(self.clock.sleep(pause)).await.is_none() {
                return;
            }
        }
    }

    async fn sweep_unless(&self, stop: &Stop) -> Result<usize, InventoryError> {
        let mut expired = 0;
        loop {
            let page = self.store.expire_overdue(self.batch);
            let page = self.deadline("expire_overdue").bound(page).await?;
            let found = page.len();
            let swept = page
                .into_iter()
                .filter(|outcome| self.was_expired(outcome))
                .count();
            expired += swept;
            counter!(telemetry::EXPIRED, "by" => "sweep").increment(swept as u64);
            // Other tasks get their turn between pages, also where the store never waits.
            let stopped = stop.or(tokio::task::yield_now()).await.is_none();
            // A page of nothing but damaged reservations would come again at once.
            if found < self.batch || swept == 0 || stopped {
                return Ok(expired);
            }
        }
    }

    fn was_expired(&self, outcome: &Result<Reservation, InventoryError>) -> bool {
        if let Err(error) = outcome {
            self.failed("expire_overdue", error);
        }
        outcome.is_ok()
    }

    fn failed(&self, operation: &'static str, error: &InventoryError) {
        counter!(telemetry::EXPIRY_FAILURES, "operation" => operation).increment(1);
        tracing::warn!(operation, %error, "the expiry worker had a failure and goes on");
    }

    fn deadline(&self, operation: &'static str) -> Deadline<'_> {
        Deadline::after(self.clock.as_ref(), operation, self.timeout)
    }
}

impl fmt::Debug for ExpiryWorker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExpiryWorker")
            .field("sweep_interval", &self.sweep_interval)
            .field("batch", &self.batch)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
