//! Forgets what is long over.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use metrics::counter;
use stockade_change_feed::time::{Backoff, Deadline, Stop, jittered};
use stockade_change_feed::{Clock, SystemClock};

use crate::error::InventoryError;
use crate::store::StockRetention;
use crate::telemetry;

/// Purges reservations that finished long ago, and puts old movements behind opening balances.
///
/// What is purged takes its id with it: a reservation its own, an adjustment's movement that of
/// its operation. A request that comes again later than that is decided afresh, and may reserve
/// or receive once more. So nothing is purged within a day, and where requests wait in a queue or
/// a file that is worked off late, what is kept has to be kept longer than they may wait.
///
/// Any number may run, and each may end at any moment: what one did not get to is left to the
/// next pass of any.
#[derive(Clone)]
pub struct Retention {
    store: Arc<dyn StockRetention>,
    keep_reservations: Duration,
    keep_movements: Duration,
    interval: Duration,
    batch: usize,
    timeout: Duration,
    clock: Arc<dyn Clock>,
}

/// What a pass purged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Purged {
    /// Finished reservations that are forgotten.
    pub reservations: usize,
    /// Movements that an opening balance stands for.
    pub movements: usize,
}

const DAY: Duration = Duration::from_secs(24 * 3600);
/// The first pause after a pass that failed. The longest is the interval.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

impl Retention {
    /// The least that anything is kept: a day.
    pub const LEAST: Duration = DAY;

    /// A worker that keeps finished reservations for 30 days and movements for 90, makes a pass
    /// about every hour, purges 500 at a time, and waits 30 seconds for an answer.
    #[must_use]
    pub fn new(store: Arc<dyn StockRetention>) -> Self {
        Self {
            store,
            keep_reservations: DAY * 30,
            keep_movements: DAY * 90,
            interval: Duration::from_secs(3600),
            batch: 500,
            timeout: Duration::from_secs(30),
            clock: Arc::new(SystemClock::new()),
        }
    }

    /// Keeps reservations, and so their ids, this long after they are finished, and a day at
    /// least.
    #[must_use]
    pub fn with_reservations_kept(mut self, keep: Duration) -> Self {
        self.keep_reservations = keep.max(Self::LEAST);
        self
    }

    /// Keeps movements, and so the ids of adjustments, this long, and a day at least.
    #[must_use]
    pub fn with_movements_kept(mut self, keep: Duration) -> Self {
        self.keep_movements = keep.max(Self::LEAST);
        self
    }

    /// Makes a pass about this often: after three quarters to one and a half of it.
    #[must_use]
    pub fn with_interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Purges so many at a time, at least 1.
    #[must_use]
    pub fn with_batch(mut self, batch: usize) -> Self {
        self.batch = batch.max(1);
        self
    }

    /// Waits this long for an answer of the store.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Waits on this clock. What is old is decided on the store's.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Runs until `stop` is done; what the store is doing then is dropped, and takes effect or
    /// not. Makes a pass at once, and failures end nothing.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) {
        let stopped = Stop::new();
        let work = stopped.or(self.purge_from_time_to_time());
        tokio::join!(stopped.when(stop), work);
    }

    /// Purges everything that is old enough, and returns what that was.
    ///
    /// # Errors
    /// As for [`StockRetention`]; what was purged before stays purged.
    pub async fn purge(&self) -> Result<Purged, InventoryError> {
        let (store, reservations, movements) =
            (&self.store, self.keep_reservations, self.keep_movements);
        Ok(Purged {
            reservations: self
                .purge_all("reservations", || {
                    store.purge_reservations(reservations, self.batch)
                })
                .await?,
            movements: self
                .purge_all("movements", || store.purge_movements(movements, self.batch))
                .await?,
        })
    }

    async fn purge_from_time_to_time(&self) {
        let mut backoff = Backoff::new(FIRST_PAUSE, self.interval);
        loop {
            let pause = match self.purge().await {
                Ok(_) => {
                    backoff.reset();
                    self.interval
                }
                Err(error) => {
                    counter!(telemetry::PURGE_FAILURES).increment(1);
                    tracing::warn!(%error, "old stock records could not be purged; it is tried again");
                    backoff.pause().min(self.interval)
                }
            };
            self.clock.sleep(jittered(pause)).await;
        }
    }

    /// Calls until less is purged than could have been.
    async fn purge_all<F>(
        &self,
        what: &'static str,
        call: impl Fn() -> F,
    ) -> Result<usize, InventoryError>
    where
        F: Future<Output = Result<usize, InventoryError>>,
    {
        let mut all = 0;
        loop {
            let deadline = Deadline::after(self.clock.as_ref(), "purge", self.timeout);
            let purged = deadline.repeat(&call).await?;
            counter!(telemetry::PURGED, "what" => what).increment(purged as u64);
            all += purged;
            if purged < self.batch {
                return Ok(all);
            }
            // Other tasks get their turn between calls, also where the store never waits.
            tokio::task::yield_now().await;
        }
    }
}

impl fmt::Debug for Retention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retention")
            .field("keep_reservations", &self.keep_reservations)
            .field("keep_movements", &self.keep_movements)
            .field("interval", &self.interval)
            .field("batch", &self.batch)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
