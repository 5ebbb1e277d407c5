//! Fills a cache of availability that is new or was emptied.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use metrics::counter;
use stockade_change_feed::{Clock, SystemClock};
use stockade_inventory_core::{Sku, StockChanged, StockSource};

use crate::cache::{AvailabilityCache, CacheWrite, Coverage};
use crate::deadline::within;
use crate::error::CatalogError;
use crate::worker::report_older_epoch;

const PAGE: usize = 1_000;

/// Watches a cache, and fills it from a scan of inventory whenever it has been emptied.
///
/// Pages are answered meanwhile, by asking inventory for what the cache lacks. Several may run:
/// writes carry versions, so they do the same work twice and no harm.
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
#[derive(Debug, Default)]
struct Scan {
    first: Option<Sku>,
    after: Option<Sku>,
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
    /// where it was.
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
                Ok(()) if scan.is_some() => {}
                Ok(()) => self.clock.sleep(self.interval).await,
                Err(error) => {
                    tracing::warn!(%error, "refilling the cache of availability goes on later");
                    self.clock.sleep(self.interval).await;
                }
            }
        }
    }

    /// Looks whether there is something to do, or writes one page of it.
    async fn step(&self, scan: &mut Option<Scan>) -> Result<(), CatalogError> {
        let Some(progress) = scan else {
            if self.coverage().await? == Coverage::Unfilled {
                tracing::info!("refilling the cache of availability");
                *scan = Some(Scan::default());
            }
            return Ok(());
        };
        let page = self.page(progress.after.as_ref()).await?;
        let Some(last) = page.last().map(|entry| entry.sku.clone()) else {
            let done = self.finish(progress).await?;
            tracing::info!(done, "refilled the cache of availability");
            *scan = None;
            return Ok(());
        };
        self.write(&page).await?;
        progress.first.get_or_insert(page[0].sku.clone());
        progress.after = Some(last);
        Ok(())
    }

    async fn coverage(&self) -> Result<Coverage, CatalogError> {
        let read = within("reading availability", self.timeout, self.cache.read(&[])).await?;
        Ok(read.coverage)
    }

    async fn page(&self, after: Option<&Sku>) -> Result<Vec<StockChanged>, CatalogError> {
        let call = async { Ok(self.source.scan(after, PAGE).await?) };
        let stock = within("scanning inventory", self.timeout, call).await?;
        Ok(stock.iter().map(StockChanged::from).collect())
    }

    async fn write(&self, page: &[StockChanged]) -> Result<(), CatalogError> {
        let call = self.cache.write(page);
        let outcomes = within("writing availability", self.timeout, call).await?;
        counter!("stockade_availability_refilled_skus_total").increment(page.len() as u64);
        for (entry, outcome) in page.iter().zip(outcomes) {
            if let CacheWrite::OlderEpoch { cached } = outcome {
                report_older_epoch(entry, cached);
            }
        }
        Ok(())
    }

    /// Marks the cache as filled, unless what was written first is gone: then it was emptied
    /// during the scan, and the next look begins anew.
    async fn finish(&self, scan: &Scan) -> Result<bool, CatalogError> {
        let first = scan.first.as_slice();
        let read = within("reading availability", self.timeout, self.cache.read(first)).await?;
        if read.entries.iter().any(Option::is_none) {
            return Ok(false);
        }
        within(
            "marking availability",
            self.timeout,
            self.cache.mark_filled(),
        )
        .await?;
        Ok(true)
    }
}

#[cfg(test)]
#[path = "refill_tests.rs"]
mod tests;
