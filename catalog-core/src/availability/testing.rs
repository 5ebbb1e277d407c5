//! An inventory and a cache that a test controls.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use stockade_change_feed::{Failure, Offset, ReadFrom, Timestamp};
use stockade_inventory_core::{
    Counts, Cursor, InventoryError, LocationId, Sku, SkuStock, StockChanged, StockLevel, StockPage,
    StockSource, Version,
};
use tokio::sync::Semaphore;

use crate::availability::cache::{
    Applied, AvailabilityCache, CacheRead, CacheWrite, Coverage, FillStep, FillToken,
};
use crate::availability::marks::{Advance, Completeness};
use crate::error::CatalogError;
use crate::memory::MemoryAvailabilityCache;

pub(crate) fn sku(name: &str) -> Sku {
    Sku::new(name).unwrap()
}

pub(crate) fn changed(name: &str, count: u64, epoch: u32, number: u64) -> StockChanged {
    let version = Version::new(epoch, number);
    StockChanged::new(sku(name), count, version, Timestamp::EPOCH)
}

/// Fills a cache with no entries, so that it counts as filled.
pub(crate) async fn fill(cache: &dyn AvailabilityCache) {
    let token = cache.begin_fill().await.unwrap();
    assert_eq!(cache.end_fill(&token).await.unwrap(), Coverage::Filled);
}

/// That a partition, of this many, is complete as of a time, with no record before that.
pub(crate) fn heartbeat(partition: u32, partitions: u32, complete_as_of: Timestamp) -> Advance {
    let mut advance = Advance::empty(partition, ReadFrom::After(Offset(0)), Offset(0));
    advance.complete = Some(Completeness {
        partitions,
        epoch: 0,
        complete_as_of,
    });
    advance
}

/// Notes that these partitions begin.
pub(crate) async fn start(cache: &dyn AvailabilityCache, partitions: Range<u32>) {
    let begun = partitions.map(|number| Advance::empty(number, ReadFrom::Start, Offset(0)));
    cache.apply(&[], &begun.collect::<Vec<_>>()).await.unwrap();
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Works,
    Fails,
    /// All calls work, except writing entries.
    FailsToWrite,
    /// Writes without returning outcomes.
    WritesWithoutOutcomes,
    /// Writes the pages of fills, and returns an unknown outcome.
    LosesReplies,
    /// Scans only from the start.
    ForgetsCursors,
    Hangs,
}

impl Mode {
    /// Whether a call works; one that hangs never returns.
    async fn call(mode: &Mutex<Self>) -> bool {
        let mode = *mode.lock().unwrap();
        if mode == Self::Hangs {
            std::future::pending::<()>().await;
        }
        mode != Self::Fails
    }
}

/// Counts calls, and makes each wait at a gate.
#[derive(Debug)]
pub(crate) struct ScriptedSource {
    pub(crate) calls: AtomicUsize,
    pub(crate) gate: Semaphore,
    mode: Mutex<Mode>,
    stock: Mutex<BTreeMap<Sku, StockChanged>>,
}

impl ScriptedSource {
    pub(crate) fn new(stock: impl IntoIterator<Item = StockChanged>) -> Self {
        let stock = stock.into_iter().map(|entry| (entry.sku.clone(), entry));
        Self {
            calls: AtomicUsize::new(0),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
            mode: Mutex::new(Mode::Works),
            stock: Mutex::new(stock.collect()),
        }
    }

    pub(crate) fn behind_a_gate(mut self) -> Self {
        self.gate = Semaphore::new(0);
        self
    }

    pub(crate) fn set(&self, mode: Mode) {
        *self.mode.lock().unwrap() = mode;
    }

    pub(crate) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

fn stock(entry: &StockChanged) -> SkuStock {
    let counts = Counts::new(entry.new_stock_count, 0, 0).unwrap();
    let location = LocationId::default();
    let (version, at) = (entry.version, entry.changed_at);
    let level = StockLevel::new(entry.sku.clone(), location, counts, version, at);
    SkuStock::new(vec![level]).unwrap()
}

fn down() -> InventoryError {
    Failure::unavailable("stock", Duration::from_secs(1), "scripted").into()
}

#[async_trait]
impl StockSource for ScriptedSource {
    async fn stock(&self, skus: &[Sku]) -> Result<Vec<Option<SkuStock>>, InventoryError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        self.gate.acquire().await.unwrap().forget();
        if !Mode::call(&self.mode).await {
            return Err(down());
        }
        let known = self.stock.lock().unwrap();
        Ok(skus.iter().map(|sku| known.get(sku).map(stock)).collect())
    }

    async fn scan(
        &self,
        after: Option<&Cursor>,
        limit: NonZeroUsize,
    ) -> Result<StockPage, InventoryError> {
        if !Mode::call(&self.mode).await {
            return Err(down());
        }
        if let Some(cursor) = after
            && *self.mode.lock().unwrap() == Mode::ForgetsCursors
        {
            return Err(InventoryError::invalid("after", &cursor.0, "it is unknown"));
        }
        let known = self.stock.lock().unwrap();
        let after = after.map(|last| last.0.as_str());
        let mut rest = known
            .values()
            .filter(|entry| Some(entry.sku.as_str()) > after);
        let page: Vec<SkuStock> = rest.by_ref().take(limit.get()).map(stock).collect();
        let next = rest.next().and(page.last());
        let next = next.map(|last| Cursor(last.sku().to_string()));
        Ok(StockPage::new(page, next))
    }
}

/// A cache in memory that can be unreachable, and counts what reads it.
#[derive(Debug)]
pub(crate) struct ScriptedCache {
    pub(crate) inner: MemoryAvailabilityCache,
    pub(crate) reads: AtomicUsize,
    mode: Mutex<Mode>,
}

impl ScriptedCache {
    pub(crate) fn new() -> Self {
        Self {
            inner: MemoryAvailabilityCache::new(),
            reads: AtomicUsize::new(0),
            mode: Mutex::new(Mode::Works),
        }
    }

    pub(crate) fn set(&self, mode: Mode) {
        *self.mode.lock().unwrap() = mode;
    }

    pub(crate) fn reads(&self) -> usize {
        self.reads.load(Ordering::SeqCst)
    }

    fn mode(&self) -> Mode {
        *self.mode.lock().unwrap()
    }

    async fn writing(&self) -> Result<(), CatalogError> {
        self.call().await?;
        match self.mode() {
            Mode::FailsToWrite => Err(unreachable()),
            _ => Ok(()),
        }
    }

    async fn call(&self) -> Result<(), CatalogError> {
        if Mode::call(&self.mode).await {
            return Ok(());
        }
        Err(unreachable())
    }
}

fn unreachable() -> CatalogError {
    Failure::unavailable("cache", Duration::from_secs(7), "scripted").into()
}

#[async_trait]
impl AvailabilityCache for ScriptedCache {
    async fn read(&self, skus: &[Sku]) -> Result<CacheRead, CatalogError> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.call().await?;
        self.inner.read(skus).await
    }

    async fn apply(
        &self,
        entries: &[StockChanged],
        advances: &[Advance],
    ) -> Result<Applied, CatalogError> {
        self.writing().await?;
        let mut applied = self.inner.apply(entries, advances).await?;
        if self.mode() == Mode::WritesWithoutOutcomes {
            applied.entries.clear();
        }
        Ok(applied)
    }

    async fn write(&self, entries: &[StockChanged]) -> Result<Vec<CacheWrite>, CatalogError> {
        self.writing().await?;
        self.inner.write(entries).await
    }

    async fn write_absent(&self, skus: &[Sku], ttl: Duration) -> Result<(), CatalogError> {
        self.call().await?;
        self.inner.write_absent(skus, ttl).await
    }

    async fn begin_fill(&self) -> Result<FillToken, CatalogError> {
        self.call().await?;
        self.inner.begin_fill().await
    }

    async fn fill(
        &self,
        token: &FillToken,
        entries: &[StockChanged],
    ) -> Result<FillStep, CatalogError> {
        self.writing().await?;
        let mut step = self.inner.fill(token, entries).await?;
        match self.mode() {
            Mode::WritesWithoutOutcomes => step.entries.clear(),
            Mode::LosesReplies => return Err(Failure::timed_out("fill", Duration::ZERO).into()),
            _ => {}
        }
        Ok(step)
    }

    async fn end_fill(&self, token: &FillToken) -> Result<Coverage, CatalogError> {
        self.call().await?;
        self.inner.end_fill(token).await
    }
}
