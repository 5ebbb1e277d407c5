//! Removes old reservations and movements.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use metrics::counter;
use stockade_change_feed::time::{Backoff, Deadline, Stop, jittered};
use stockade_change_feed::{Clock, SystemClock};

use crate::error::InventoryError;
use crate::model::Purged;
use crate::store::StockRetention;
use crate::telemetry;
use crate::workers::progress::Progress;

/// Purges reservations that finished long ago, and replaces old movements by opening balances.
///
/// - A purged reservation loses its id, and a replaced adjustment loses its operation id. A request
///   that is repeated after that is decided as a new one, and may reserve or receive a second time.
///   So nothing is purged within a day. If requests wait in a queue or a file, keep everything
///   longer than a request can wait there.
/// - A pass continues while the store says that there is more. If the store then purges nothing in
///   10 calls in a row, the pass ends with an error, and the next pass tries again.
/// - Any number of these may run, and each may end at any moment. The next pass does the remaining
///   work.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), stockade_inventory_core::InventoryError> {
/// use std::sync::Arc;
/// use std::time::Duration;
/// use stockade_change_feed::SystemClock;
/// use stockade_inventory_core::memory::MemoryInventory;
/// use stockade_inventory_core::workers::Retention;
///
/// let store = Arc::new(MemoryInventory::new(Arc::new(SystemClock::new())));
/// let week = Duration::from_secs(7 * 24 * 3600);
/// let retention = Retention::new(store).with_reservations_kept(week);
/// // A service spawns `retention.run(stop)`. A scheduled job makes one pass:
/// let pass = retention.purge().await?;
/// assert_eq!(pass.reservations, 0);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Retention {
    store: Arc<dyn StockRetention>,
    keep_reservations: Duration,
    keep_movements: Duration,
    interval: Duration,
    batch: NonZeroUsize,
    timeout: Duration,
    clock: Arc<dyn Clock>,
}

/// The result of a pass of [`Retention`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetentionPass {
    /// The number of reservations that were purged.
    pub reservations: usize,
    /// The number of movements that opening balances replaced.
    pub movements: usize,
}

const DAY: Duration = Duration::from_secs(24 * 3600);
/// The first pause after a failed pass. The longest is the interval.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const BATCH: NonZeroUsize = NonZeroUsize::new(500).expect("it is not 0");

impl Retention {
    /// The shortest time for which rows are kept: a day.
    pub const LEAST: Duration = DAY;

    /// A worker that keeps finished reservations for 30 days and movements for 90 days, makes a pass
    /// about every hour, purges 500 rows in a call, and waits 30 seconds for an answer.
    #[must_use]
    pub fn new(store: Arc<dyn StockRetention>) -> Self {
        Self {
            store,
            keep_reservations: DAY * 30,
            keep_movements: DAY * 90,
            interval: Duration::from_secs(3600),
            batch: BATCH,
            timeout: Duration::from_secs(30),
            clock: Arc::new(SystemClock::new()),
        }
    }

    /// Sets how long reservations, and so their ids, are kept after they have finished: at least a
    /// day.
    #[must_use]
    pub fn with_reservations_kept(mut self, keep: Duration) -> Self {
        self.keep_reservations = keep.max(Self::LEAST);
        self
    }

    /// Sets how long movements, and so the ids of adjustments, are kept: at least a day.
    #[must_use]
    pub fn with_movements_kept(mut self, keep: Duration) -> Self {
        self.keep_movements = keep.max(Self::LEAST);
        self
    }

    /// Sets the pause between passes: a random 75 % to 125 % of `interval`.
    #[must_use]
    pub fn with_interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Sets the most rows that are purged in a call.
    #[must_use]
    pub fn with_batch(mut self, rows: NonZeroUsize) -> Self {
        self.batch = rows;
        self
    }

    /// Sets how long to wait for an answer of the store.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the clock for pauses. The age of rows is decided on the store's clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Runs until `stop` is ready. A call that is in flight then is dropped; it may take effect or
    /// not. The first pass starts at once. A failed pass is logged and repeated.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) {
        let stopped = Stop::new();
        let work = stopped.or(self.keep_purging());
        tokio::join!(stopped.when(stop), work);
    }

    /// Purges everything that is old enough, and returns how many rows.
    ///
    /// # Errors
    /// As for [`StockRetention`], and when the store says that there is more but purges nothing in
    /// 10 calls in a row. What was purged before stays purged. When purging reservations fails,
    /// movements are still purged.
    pub async fn purge(&self) -> Result<RetentionPass, InventoryError> {
        let store = &self.store;
        let reservations = self.purge_all("reservations", || {
            store.purge_reservations(self.keep_reservations, self.batch)
        });
        let reservations = reservations.await;
        let movements = self.purge_all("movements", || {
            store.purge_movements(self.keep_movements, self.batch)
        });
        let movements = movements.await;
        Ok(RetentionPass {
            reservations: reservations?,
            movements: movements?,
        })
    }

    async fn keep_purging(&self) {
        let mut backoff = Backoff::new(FIRST_PAUSE, self.interval);
        loop {
            let pause = match self.purge().await {
                Ok(_) => {
                    backoff.reset();
                    self.interval
                }
                Err(error) => {
                    counter!(telemetry::PURGE_FAILURES).increment(1);
                    tracing::warn!(%error, "a pass of the retention worker failed; it is repeated");
                    backoff.pause().min(self.interval)
                }
            };
            self.clock.sleep(jittered(pause)).await;
        }
    }

    /// Calls until there is no more to purge.
    async fn purge_all<F>(
        &self,
        what: &'static str,
        call: impl Fn() -> F,
    ) -> Result<usize, InventoryError>
    where
        F: Future<Output = Result<Purged, InventoryError>>,
    {
        let mut all = 0;
        let mut progress = Progress::of("purge");
        loop {
            let deadline = Deadline::after(self.clock.as_ref(), "purge", self.timeout);
            let purged = deadline.repeat(&call).await?;
            counter!(telemetry::PURGED, "what" => what).increment(purged.count as u64);
            all += purged.count;
            if !progress.goes_on(purged.count, purged.rest)? {
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
