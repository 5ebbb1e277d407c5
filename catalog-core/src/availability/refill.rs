//! Fills a cache of availability that is not filled.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use metrics::counter;
use stockade_change_feed::time::{Deadline, jittered, one_for_each};
use stockade_change_feed::{Clock, Retry, SystemClock};
use stockade_inventory_core::{Cursor, StockChanged, StockPage, StockSource};

use crate::availability::cache::{AvailabilityCache, CacheWrite, Coverage, FillToken};
use crate::availability::worker::report_older_epoch;
use crate::error::CatalogError;

const PAGE: NonZeroUsize = NonZeroUsize::new(1_000).expect("it is not 0");
/// The pause between two pages.
const PAUSE: Duration = Duration::from_millis(10);

/// Watches a cache, and fills it from a scan of inventory whenever it is new, was emptied or has
/// lost writes. Pages do not trust the cache before the fill has finished, so each cache needs a
/// running refill.
///
/// Meanwhile pages ask inventory. The refill pauses for about 10 ms between two pages of the scan,
/// to leave room for those requests. When the cache loses writes during the scan, the scan begins
/// again. Several refills may run: entries have versions, so they only repeat each other's work.
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

/// The progress of a refill.
#[derive(Debug)]
struct Scan {
    token: FillToken,
    after: Option<Cursor>,
}

impl AvailabilityRefill {
    /// A refill that checks the cache every second, with a deadline of 5 s for each call.
    #[must_use]
    pub fn new(cache: Arc<dyn AvailabilityCache>, source: Arc<dyn StockSource>) -> Self {
        Self {
            cache,
            source,
            clock: Arc::new(SystemClock::new()),
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(5),
        }
    }

    /// Sets the clock for pauses and deadlines.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Sets the time between two checks, and the pause after a failure.
    #[must_use]
    pub fn with_interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Sets the deadline for each call of the cache and of inventory.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Runs until `stop` is ready. A failed call is repeated after the interval, and the scan
    /// continues where it was. When a retry does not help, as with a cursor that inventory no
    /// longer accepts, the scan begins again.
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
                Ok(()) if scan.is_some() => self.clock.sleep(jittered(PAUSE)).await,
                Ok(()) => self.clock.sleep(self.interval).await,
                Err(error) => {
                    tracing::warn!(%error, "a step of the refill of the availability cache failed");
                    self.clock.sleep(self.interval).await;
                }
            }
        }
    }

    /// Makes a step, and drops a scan that can not continue.
    async fn step(&self, scan: &mut Option<Scan>) -> Result<(), CatalogError> {
        let outcome = match scan {
            None => self.begin().await,
            Some(at) => self.advance(at).await,
        };
        match outcome {
            Ok(next) => *scan = next,
            Err(error) => {
                if error.retry() == Retry::Never {
                    *scan = None;
                }
                return Err(error);
            }
        }
        Ok(())
    }

    /// Begins a scan if the cache needs one.
    async fn begin(&self) -> Result<Option<Scan>, CatalogError> {
        let read = self.bound("read the cache", self.cache.read(&[])).await?;
        if read.coverage == Coverage::Filled {
            return Ok(None);
        }
        tracing::info!("the availability cache is not filled; the refill starts");
        let token = self.bound("begin a fill", self.cache.begin_fill()).await?;
        Ok(Some(Scan { token, after: None }))
    }

    /// Writes one page of a scan.
    async fn advance(&self, scan: &Scan) -> Result<Option<Scan>, CatalogError> {
        let call = async { Ok(self.source.scan(scan.after.as_ref(), PAGE).await?) };
        let page: StockPage = self.bound("scan inventory", call).await?;
        let Some(token) = self.write(&scan.token, &page).await? else {
            tracing::warn!("the fill of the availability cache was ended by the cache");
            return Ok(None);
        };
        if page.next.is_some() {
            let after = page.next;
            return Ok(Some(Scan { token, after }));
        }
        let ended = self.cache.end_fill(&token);
        let coverage = self.bound("end the fill", ended).await?;
        tracing::info!(
            ?coverage,
            "the refill of the availability cache has finished"
        );
        Ok(None)
    }

    /// Writes a page, and returns the token for the next one.
    async fn write(
        &self,
        token: &FillToken,
        page: &StockPage,
    ) -> Result<Option<FillToken>, CatalogError> {
        const FILL: &str = "write a page of the fill";
        let entries: Vec<_> = page.stock.iter().map(StockChanged::from).collect();
        let step = self.bound(FILL, self.cache.fill(token, &entries)).await?;
        let outcomes = one_for_each(FILL, entries.len(), step.entries)?;
        counter!("stockade_availability_refilled_skus_total").increment(entries.len() as u64);
        for (entry, outcome) in entries.iter().zip(outcomes) {
            if let CacheWrite::OlderEpoch { cached } = outcome {
                report_older_epoch(entry, cached);
            }
        }
        Ok(step.next)
    }

    async fn bound<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, CatalogError>>,
    ) -> Result<T, CatalogError> {
        let deadline = Deadline::after(self.clock.as_ref(), operation, self.timeout);
        deadline.bound(call).await
    }
}

#[cfg(test)]
#[path = "refill_tests.rs"]
mod tests;
