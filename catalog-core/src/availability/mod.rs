//! The availability that pages show: how many units of each SKU, from which source, how old.

mod cache;
mod circuit;
mod freshness;
mod marks;
mod page;
mod refill;
mod stock;
#[cfg(test)]
mod testing;
mod worker;

use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::counter;
use stockade_change_feed::coalesce::{CoalesceLimits, Coalescer};
use stockade_change_feed::time::{Deadline, one_for_each};
use stockade_change_feed::{Clock, Feed, Group, SystemClock, Topic};
use stockade_inventory_core::{Sku, StockChanged, StockSource};

use self::page::Page;
use self::stock::{Answers, StockCall};
use crate::error::CatalogError;

#[cfg(feature = "mock")]
pub use self::cache::MockAvailabilityCache;
pub use self::cache::{
    Applied, AvailabilityCache, CacheEntry, CacheRead, CacheWrite, Coverage, FillStep, FillToken,
};
pub use self::circuit::{Circuit, CircuitChange, CircuitConfig, CircuitState, Route};
pub use self::freshness::{Freshness, FreshnessTracker, complete_as_of};
pub use self::marks::{Advance, Advanced, Completeness, Continuity, MarkWrite, PartitionMark};
pub use self::page::{Origin, PageAvailability, SkuAvailability, Stock};
pub use self::refill::AvailabilityRefill;
pub use self::worker::AvailabilityWorker;

/// How often the lag of the cache's worker is read, and the deadline for reading it.
const LAG_EVERY: Duration = Duration::from_secs(5);
const CALLS: NonZeroUsize = NonZeroUsize::new(4).unwrap();
const BATCH: NonZeroUsize = NonZeroUsize::new(1_000).unwrap();
/// SKUs that may wait for inventory, in batches.
const WAITING_BATCHES: NonZeroUsize = NonZeroUsize::new(32).unwrap();

/// A function that is called at each change of the circuit.
pub type Alert = Arc<dyn Fn(&CircuitChange) + Send + Sync>;

/// Returns availability to pages: from a cache while it is fresh, and from inventory while it is
/// not.
///
/// It never fails, and every call has deadlines. If inventory does not answer either, it returns
/// the last known value with its age. Only a SKU without a last known value is
/// [`Unknown`](Stock::Unknown).
///
/// ```
/// use std::sync::Arc;
///
/// use stockade_catalog_core::memory::MemoryAvailabilityCache;
/// use stockade_catalog_core::{Availability, Origin, Stock};
/// use stockade_change_feed::SystemClock;
/// use stockade_inventory_core::memory::MemoryInventory;
/// use stockade_inventory_core::{InventoryError, Sku};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), InventoryError> {
/// let inventory = Arc::new(MemoryInventory::new(Arc::new(SystemClock::new())));
/// let pages = Availability::new(Arc::new(MemoryAvailabilityCache::new()), inventory);
///
/// // Nothing fills the cache here, so the circuit is open and inventory is asked.
/// let page = pages.of(&[Sku::new("tee-m")?, Sku::new("tee-l")?]).await;
/// assert_eq!(page.items[0].origin, Origin::Inventory);
/// assert_eq!(page.items[0].stock, Stock::NotStocked);
/// # Ok(())
/// # }
/// ```
pub struct Availability {
    cache: Arc<dyn AvailabilityCache>,
    source: Arc<dyn StockSource>,
    inventory: Coalescer<StockCall>,
    limits: CoalesceLimits,
    clock: Arc<dyn Clock>,
    cache_timeout: Duration,
    absent_ttl: Duration,
    alert: Option<Alert>,
    breaker: Mutex<Breaker>,
}

#[derive(Debug)]
struct Breaker {
    circuit: Circuit,
    tracker: FreshnessTracker,
}

impl fmt::Debug for Availability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Availability")
            .field("breaker", &self.breaker)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Availability {
    /// Availability from a cache, and from the inventory that fills it.
    #[must_use]
    pub fn new(cache: Arc<dyn AvailabilityCache>, source: Arc<dyn StockSource>) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let limits = CoalesceLimits {
            calls: CALLS,
            batch: BATCH,
            waiting: BATCH.saturating_mul(WAITING_BATCHES),
            timeout: Duration::from_secs(1),
        };
        Self {
            cache,
            inventory: coalesced(&source, limits, &clock),
            source,
            limits,
            clock,
            cache_timeout: Duration::from_millis(50),
            absent_ttl: Duration::from_secs(60),
            alert: None,
            breaker: Mutex::new(Breaker {
                circuit: Circuit::new(CircuitConfig::default()),
                tracker: FreshnessTracker::new(Duration::from_secs(5)),
            }),
        }
    }

    /// Sets when the circuit opens and closes.
    #[must_use]
    pub fn with_circuit(self, config: CircuitConfig) -> Self {
        self.lock().circuit = Circuit::new(config);
        self
    }

    /// Sets how far in the future a mark may be, because the clocks of two hosts differ (5 s).
    #[must_use]
    pub fn with_clock_skew(self, skew: Duration) -> Self {
        self.lock().tracker = FreshnessTracker::new(skew);
        self
    }

    /// Sets the clock for ages and deadlines.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.inventory = coalesced(&self.source, self.limits, &clock);
        self.clock = clock;
        self
    }

    /// Sets the deadline for each call of the cache (50 ms).
    #[must_use]
    pub fn with_cache_timeout(mut self, timeout: Duration) -> Self {
        self.cache_timeout = timeout;
        self
    }

    /// Sets the deadline for each call of inventory (1 s). Waiting for a free call may take as long
    /// again.
    #[must_use]
    pub fn with_inventory_timeout(mut self, timeout: Duration) -> Self {
        self.limits.timeout = timeout;
        self.with_limits()
    }

    /// Sets the most calls of inventory at a time (4).
    #[must_use]
    pub fn with_concurrent_calls(mut self, calls: NonZeroUsize) -> Self {
        self.limits.calls = calls;
        self.with_limits()
    }

    /// Sets the most SKUs in a call of inventory (1,000). At most 32 times as many SKUs, of all
    /// pages together, can wait for a call; further pages get the last known values.
    #[must_use]
    pub fn with_batch(mut self, skus: NonZeroUsize) -> Self {
        self.limits.batch = skus;
        self.limits.waiting = skus.saturating_mul(WAITING_BATCHES);
        self.with_limits()
    }

    /// Sets for how long the cache stores that inventory does not know a SKU (60 s).
    #[must_use]
    pub fn with_absent_ttl(mut self, ttl: Duration) -> Self {
        self.absent_ttl = ttl;
        self
    }

    /// Calls `alert` at each change of the circuit, on the page's task: it must not block.
    #[must_use]
    pub fn with_alert(mut self, alert: Alert) -> Self {
        self.alert = Some(alert);
        self
    }

    fn with_limits(mut self) -> Self {
        self.inventory = coalesced(&self.source, self.limits, &self.clock);
        self
    }

    fn lock(&self) -> MutexGuard<'_, Breaker> {
        // Nothing panics halfway through a change.
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Availability {
    /// The availability of these SKUs, which may repeat, in their order. Never fails.
    ///
    /// Takes at most a few deadlines of the cache, and two deadlines of inventory for every full
    /// batch of SKUs.
    pub async fn of(&self, skus: &[Sku]) -> PageAvailability {
        let wanted: BTreeSet<&Sku> = skus.iter().collect();
        let wanted: Vec<Sku> = wanted.into_iter().cloned().collect();
        let mut page = Page::default();
        let circuit = self.answer(&wanted, &mut page).await;
        let items: Vec<_> = skus.iter().map(|sku| page.item(sku)).collect();
        for item in &items {
            counter!("stockade_availability_answers_total", "origin" => item.origin.as_str())
                .increment(1);
        }
        PageAvailability { items, circuit }
    }

    /// The current state of the circuit.
    #[must_use]
    pub fn circuit(&self) -> CircuitState {
        self.lock().circuit.state()
    }

    async fn answer(&self, wanted: &[Sku], page: &mut Page) -> CircuitState {
        let mut route = self.lock().circuit.route(self.clock.monotonic());
        if route == Route::Probe {
            let (state, _, _) = self.read(route, &[]).await;
            if state == CircuitState::Closed {
                route = Route::Cache;
            }
        }
        let mut last_known = None;
        if route == Route::Cache {
            let (state, freshness, read) = self.read(route, wanted).await;
            match read {
                Some(read) if state == CircuitState::Closed => {
                    page.cached(wanted, &read, Origin::Cache, freshness);
                    self.fill_misses(wanted, page).await;
                    return state;
                }
                read => last_known = read.map(|read| (freshness, read)),
            }
        }
        self.ask_inventory(wanted, page, last_known).await;
        self.circuit()
    }

    /// Reads the cache and reports its freshness to the circuit.
    async fn read(
        &self,
        route: Route,
        wanted: &[Sku],
    ) -> (CircuitState, Freshness, Option<CacheRead>) {
        let read = self.read_cache(wanted).await;
        let mut breaker = self.lock();
        let monotonic = self.clock.monotonic();
        let freshness = match &read {
            Some(read) => breaker.tracker.observe(read, self.clock.now(), monotonic),
            None => Freshness::Unread,
        };
        let change = breaker.circuit.observe(route, freshness, monotonic);
        let state = breaker.circuit.state();
        drop(breaker);
        if let Some(change) = change {
            self.announce(&change);
        }
        (state, freshness, read)
    }

    async fn read_cache(&self, wanted: &[Sku]) -> Option<CacheRead> {
        const READ: &str = "read availability";
        let call = async {
            let mut read = self.cache.read(wanted).await?;
            read.entries = one_for_each(READ, wanted.len(), read.entries)?;
            Ok(read)
        };
        let read: Result<_, CatalogError> = self.deadline(READ).bound(call).await;
        if let Err(error) = &read {
            tracing::debug!(%error, "the cache of availability could not be read");
        }
        read.ok()
    }

    /// The deadline for one call of the cache.
    fn deadline(&self, operation: &'static str) -> Deadline<'_> {
        Deadline::after(self.clock.as_ref(), operation, self.cache_timeout)
    }

    /// Asks inventory for SKUs that are missing in the cache, and writes the answers to the cache.
    async fn fill_misses(&self, wanted: &[Sku], page: &mut Page) {
        let misses = page.unanswered(wanted);
        if misses.is_empty() {
            return;
        }
        let answers = self.ask(&misses).await;
        let absent: Vec<Sku> = answers
            .iter()
            .filter(|(_, answer)| answer.is_none())
            .map(|(sku, _)| sku.clone())
            .collect();
        let known: Vec<StockChanged> = answers.values().flatten().cloned().collect();
        page.answered(answers);
        let write = async {
            if !known.is_empty() {
                self.cache.write(&known).await?;
            }
            if !absent.is_empty() {
                self.cache.write_absent(&absent, self.absent_ttl).await?;
            }
            Ok(())
        };
        let written: Result<(), CatalogError> =
            self.deadline("write availability").bound(write).await;
        if let Err(error) = written {
            tracing::debug!(%error, "writing inventory's answers to the cache failed");
        }
    }

    /// Asks inventory for all SKUs, and falls back to the last known values.
    async fn ask_inventory(
        &self,
        wanted: &[Sku],
        page: &mut Page,
        last_known: Option<(Freshness, CacheRead)>,
    ) {
        page.answered(self.ask(wanted).await);
        let missing = page.unanswered(wanted);
        if missing.is_empty() {
            return;
        }
        if let Some((freshness, read)) = last_known {
            page.cached(wanted, &read, Origin::LastKnown, freshness);
        } else if let Some(read) = self.read_cache(&missing).await {
            let (now, monotonic) = (self.clock.now(), self.clock.monotonic());
            let freshness = self.lock().tracker.observe(&read, now, monotonic);
            page.cached(&missing, &read, Origin::LastKnown, freshness);
        }
    }

    async fn ask(&self, skus: &[Sku]) -> Answers {
        let outcomes = self.inventory.ask(skus).await;
        let failed = match &outcomes {
            Ok(outcomes) => outcomes.iter().find_map(|outcome| outcome.as_ref().err()),
            Err(error) => Some(error),
        };
        if let Some(error) = failed {
            counter!("stockade_availability_inventory_failures_total").increment(1);
            tracing::debug!(%error, "inventory did not answer a page");
        }
        let answers = skus.iter().cloned().zip(outcomes.into_iter().flatten());
        answers
            .filter_map(|(sku, outcome)| Some((sku, outcome.ok()?)))
            .collect()
    }

    fn announce(&self, change: &CircuitChange) {
        let (from, to) = (change.from.as_str(), change.to.as_str());
        counter!("stockade_availability_circuit_changes_total", "to" => to).increment(1);
        match change.to {
            CircuitState::Open => {
                tracing::error!(from, to, reason = %change.freshness, "availability circuit opened");
            }
            CircuitState::Closed | CircuitState::HalfOpen => {
                tracing::warn!(from, to, reason = %change.freshness, "availability circuit changed");
            }
        }
        if let Some(alert) = &self.alert {
            alert(change);
        }
    }
}

impl Availability {
    /// Reads how far the cache's worker is behind, every 5 s until `stop` is ready, as a second
    /// source of freshness. `group` and `topics` are those of the worker. When the lag can not be
    /// read, it is ignored.
    pub async fn watch_lag(
        &self,
        feed: &dyn Feed,
        group: &Group,
        topics: &[Topic],
        stop: impl Future<Output = ()> + Send,
    ) {
        let watch = async {
            loop {
                let age = self.read_lag(feed, group, topics).await;
                let now = self.clock.monotonic();
                self.lock().tracker.note_lag(age, now);
                self.clock.sleep(LAG_EVERY).await;
            }
        };
        tokio::select! {
            () = stop => {}
            () = watch => {}
        }
        let now = self.clock.monotonic();
        self.lock().tracker.note_lag(None, now);
    }

    async fn read_lag(&self, feed: &dyn Feed, group: &Group, topics: &[Topic]) -> Option<Duration> {
        let deadline = Deadline::after(self.clock.as_ref(), "read the lag", LAG_EVERY);
        match deadline.bound(feed.lag(group, topics)).await {
            Ok(lags) => lags.iter().filter_map(|lag| lag.age).max(),
            Err(error) => {
                tracing::debug!(%error, "the lag of availability could not be read");
                None
            }
        }
    }
}

fn coalesced(
    source: &Arc<dyn StockSource>,
    limits: CoalesceLimits,
    clock: &Arc<dyn Clock>,
) -> Coalescer<StockCall> {
    let call = StockCall(Arc::clone(source));
    Coalescer::new("ask inventory for stock", call, limits, Arc::clone(clock))
}

#[cfg(test)]
mod tests;
