//! Gives back the units of reservations whose deadline has passed.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use metrics::counter;
use stockade_change_feed::time::{Backoff, Deadline, Stop, jittered, one_for_each};
use stockade_change_feed::{Clock, Retry, SystemClock};

use crate::error::InventoryError;
use crate::model::{Expiry, Reservation, ReservationId};
use crate::store::{InventoryStore, ReservationTimer};
use crate::telemetry;
use crate::workers::progress::Progress;
use crate::workers::wake::Wake;

/// Expires reservations whose deadline has passed: when their timers are due, and by a sweep over
/// all overdue reservations about every minute.
///
/// - The store decides what is overdue, and each expiry takes effect once, however many workers
///   run.
/// - A timer that fired early is set again for the remaining time.
/// - When a reservation could not be expired, its timer is set again, unless the error says that a
///   retry does not help.
/// - A sweep continues while the store says that there is more. If the store then expires nothing
///   in 10 calls in a row, the sweep ends with an error, and the next sweep tries again.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// use std::sync::Arc;
/// use stockade_change_feed::SystemClock;
/// use stockade_inventory_core::memory::{MemoryInventory, MemoryTimer};
/// use stockade_inventory_core::workers::ExpiryWorker;
///
/// let clock = Arc::new(SystemClock::new());
/// let store = Arc::new(MemoryInventory::new(clock.clone()));
/// let timer = Arc::new(MemoryTimer::new(clock));
/// let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
/// let running = tokio::spawn(ExpiryWorker::new(store, timer).run(async {
///     stopped.await.ok();
/// }));
/// // Later, when the service ends:
/// stop.send(()).ok();
/// running.await.ok();
/// # }
/// ```
#[derive(Clone)]
pub struct ExpiryWorker {
    store: Arc<dyn InventoryStore>,
    timer: Arc<dyn ReservationTimer>,
    wake: Option<Wake>,
    sweep_interval: Duration,
    batch: NonZeroUsize,
    timeout: Duration,
    clock: Arc<dyn Clock>,
}

/// The longest wait for due timers in one call.
const TIMER_WAIT: Duration = Duration::from_secs(10);
/// The first pause after a failure, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));
/// The pause before the timer of a reservation that could not be expired fires again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
const BATCH: NonZeroUsize = NonZeroUsize::new(100).expect("it is not 0");

impl ExpiryWorker {
    /// A worker that sweeps about every minute, takes 100 reservations in a call, and waits 10
    /// seconds for an answer.
    #[must_use]
    pub fn new(store: Arc<dyn InventoryStore>, timer: Arc<dyn ReservationTimer>) -> Self {
        Self {
            store,
            timer,
            wake: None,
            sweep_interval: Duration::from_secs(60),
            batch: BATCH,
            timeout: Duration::from_secs(10),
            clock: Arc::new(SystemClock::new()),
        }
    }

    /// Wakes a relay in this process when units have come back.
    #[must_use]
    pub fn with_wake(mut self, wake: Wake) -> Self {
        self.wake = Some(wake);
        self
    }

    /// Sets the pause between sweeps: a random 75 % to 125 % of `interval`.
    #[must_use]
    pub fn with_sweep_interval(mut self, interval: Duration) -> Self {
        self.sweep_interval = interval;
        self
    }

    /// Sets the most reservations in a call.
    #[must_use]
    pub fn with_batch(mut self, reservations: NonZeroUsize) -> Self {
        self.batch = reservations;
        self
    }

    /// Sets how long to wait for an answer of the store or the timers.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the clock for pauses. Whether a reservation is overdue is decided on the store's clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Runs until `stop` is ready and the current calls have ended, which takes at most a few times
    /// the timeout. The first sweep starts at once. A failure is logged, and the worker continues.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) {
        let stopped = Stop::new();
        tokio::join!(
            stopped.when(stop),
            self.follow_timers(&stopped),
            self.keep_sweeping(&stopped),
        );
    }

    /// Expires all overdue reservations, batch by batch, and returns their number.
    ///
    /// # Errors
    /// As for [`InventoryStore::expire_overdue`], and when the store says that there is more but
    /// expires nothing in 10 calls in a row. What expired before stays expired.
    pub async fn sweep(&self) -> Result<usize, InventoryError> {
        self.sweep_unless(&Stop::new()).await
    }

    async fn follow_timers(&self, stop: &Stop) {
        let mut backoff = Backoff::new(PAUSES.0, PAUSES.1);
        // The stop drops a wait, which then takes no timer. Taken timers are acted on.
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

    /// Acts on due timers. Each reservation is expired, or its timer is set again.
    async fn expire(&self, due: &[ReservationId]) {
        if due.is_empty() {
            return;
        }
        let expired = self.deadline("expire").bound(self.store.expire(due)).await;
        let outcomes =
            expired.and_then(|outcomes| Ok(one_for_each("expire", due.len(), outcomes)?));
        let outcomes = outcomes.unwrap_or_else(|error| vec![Err(error); due.len()]);
        let expired = outcomes
            .iter()
            .filter(|outcome| matches!(outcome, Ok(Expiry::Expired(_))));
        self.came_back(expired.count());
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

    /// The pause before the timer fires again, if it has to.
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
                    // A repetition does not help. The sweep will report it again.
                    Retry::Never => None,
                    Retry::After(wait) => Some(jittered(wait.max(AGAIN_AFTER))),
                    Retry::RestartTransaction | Retry::OutcomeUnknown => {
                        Some(jittered(AGAIN_AFTER))
                    }
                }
            }
        }
    }

    async fn keep_sweeping(&self, stop: &Stop) {
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
        let mut progress = Progress::of("expire_overdue");
        loop {
            let sweep = self.store.expire_overdue(self.batch);
            let sweep = self.deadline("expire_overdue").bound(sweep).await?;
            let outcomes = sweep.outcomes.iter();
            let swept = outcomes.filter(|outcome| self.was_expired(outcome)).count();
            expired += swept;
            self.came_back(swept);
            counter!(telemetry::EXPIRED, "by" => "sweep").increment(swept as u64);
            let goes_on = progress.goes_on(swept, sweep.rest)?;
            // Other tasks get their turn between calls, also where the store never waits.
            let stopped = stop.or(tokio::task::yield_now()).await.is_none();
            if stopped || !goes_on {
                return Ok(expired);
            }
        }
    }

    fn came_back(&self, expired: usize) {
        if let (1.., Some(wake)) = (expired, &self.wake) {
            wake.wake();
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
        tracing::warn!(operation, %error, "a call of the expiry worker failed");
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
