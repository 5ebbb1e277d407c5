//! Fills a cache of availability that is new or was emptied.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use metrics::counter;
use stockade_change_feed::{Clock, Retry, SystemClock};
use stockade_inventory_core::{Cursor, StockChanged, StockPage, StockSource};

use crate::availability::cache::{AvailabilityCache, CacheWrite, Coverage, FillToken};
use crate::availability::worker::{one_for_each, report_older_epoch};
use crate::deadline::within;
use crate::error::CatalogError;

const PAGE: NonZeroUsize = NonZeroUsize::new(1_000).expect("it is not 0");

/// Watches a cache, and fills it from a scan of inventory whenever it has been emptied.
///
/// Pages are answered meanwhile, by asking inventory for what the cache lacks. Between two pages
/// of the scan it pauses for about 10 ms, to leave room for those questions. Several may run: writes carry versions, so they do the same work twice and no harm.
pub struct AvailabilityRefill {
    cache: Arc<dyn AvailabilityCache>,
    source: Arc<dyn StockSource>,
    clock: Arc<dyn Clock>,
    interval: Duration,
    timeout: Duration,
}

impl fmt::Debug for AvailabilityRefill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AvailabilityRefill")
            .field("interval", &self.interval)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

/// How far a refill is.
#[derive(Debug)]
struct Scan {
    token: FillToken,
    after: Option<Cursor>,
}

impl AvailabilityRefill {
    /// Looks every 5 s, and gives each call 5 s.
    #[must_use]
    pub fn new(cache: Arc<dyn AvailabilityCache>, source: Arc<dyn StockSource>) -> Self {
        Self {
            cache,
            source,
            clock: Arc::new(SystemClock::new()),
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(5),
        }
    }

    /// With another clock, by which it waits. Deadlines are the runtime's.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// With another time between two looks, and after a failure.
    #[must_use]
    pub fn with_interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// With another deadline for each call of the cache and of inventory.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Works until `stop`. A failed call is repeated after the interval, and the scan goes on
    /// where it was; where repeating is of no use, such as with a cursor that inventory no longer
    /// knows, it begins anew.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) {
        tokio::select! {
            () = stop => {}
            () = self.work() => {}
        }
    }

    async fn work(&self) {
        let mut scan = None;
        loop {
            match self.step(&mut scan).await {
                Ok(()) if scan.is_some() => self.clock.sleep(pause()).await,
                Ok(()) => self.clock.sleep(self.interval).await,
                Err(error) => {
                    tracing::warn!(%error, "refilling the cache of availability goes on later");
                    self.clock.sleep(self.interval).await;
                }
            }
        }
    }

    /// Takes a step, and gives up a scan that can't go on.
    async fn step(&self, scan: &mut Option<Scan>) -> Result<(), CatalogError> {
        let outcome = self.advance(scan).await;
        if matches!(&outcome, Err(error) if matches!(error.retry(), Retry::Never)) {
            *scan = None;
        }
        outcome
    }

    /// Looks whether there is something to do, or writes one page of it.
    async fn advance(&self, scan: &mut Option<Scan>) -> Result<(), CatalogError> {
        let Some(progress) = scan else {
            if self.coverage().await? == Coverage::Unfilled {
                tracing::info!("refilling the cache of availability");
                let token = within(
                    "filling availability",
                    self.timeout,
                    self.cache.begin_fill(),
                );
                *scan = Some(Scan {
                    token: token.await?,
                    after: None,
                });
            }
            return Ok(());
        };
        let page = self.page(progress.after.as_ref()).await?;
        let changes: Vec<_> = page.stock.iter().map(StockChanged::from).collect();
        self.write(&changes).await?;
        progress.after = page.next;
        if progress.after.is_none() {
            let filled = self.cache.mark_filled(&progress.token);
            let coverage = within("marking availability", self.timeout, filled).await?;
            tracing::info!(?coverage, "refilled the cache of availability");
            *scan = None;
        }
        Ok(())
    }

    async fn coverage(&self) -> Result<Coverage, CatalogError> {
        let read = within("reading availability", self.timeout, self.cache.read(&[])).await?;
        Ok(read.coverage)
    }

    async fn page(&self, after: Option<&Cursor>) -> Result<StockPage, CatalogError> {
        let call = async { Ok(self.source.scan(after, PAGE).await?) };
        within("scanning inventory", self.timeout, call).await
    }

    async fn write(&self, page: &[StockChanged]) -> Result<(), CatalogError> {
        let call = self.cache.write(page);
        let outcomes = within("writing availability", self.timeout, call).await?;
        one_for_each(outcomes.len(), page.len())?;
        counter!("stockade_availability_refilled_skus_total").increment(page.len() as u64);
        for (entry, outcome) in page.iter().zip(outcomes) {
            if let CacheWrite::OlderEpoch { cached } = outcome {
                report_older_epoch(entry, cached);
            }
        }
        Ok(())
    }
}

/// 5 to 15 ms, so that several that run don't ask together.
fn pause() -> Duration {
    Duration::from_millis(5 + RandomState::new().hash_one(()) % 11)
}

#[cfg(test)]
#[path = "refill_tests.rs"]
mod tests;
