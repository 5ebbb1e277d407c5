//! A cache that notes when entries are in Redis.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::ensure;
use async_trait::async_trait;
use stockade_catalog_core::{
    Advance, Applied, AvailabilityCache, CacheRead, CacheWrite, CatalogError, Coverage, FillStep,
    FillToken,
};
use stockade_inventory_core::{Sku, StockChanged};
use stockade_redis::RedisAvailability;

/// How often it is looked whether all have arrived.
const LOOK: Duration = Duration::from_millis(1);

/// Redis, and since when its entries can be read there.
pub(super) struct Visible {
    cache: RedisAvailability,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// The units of each SKU, and since when.
    entries: HashMap<Sku, (u64, Instant)>,
    /// What was committed and is not in Redis yet. Each commit takes units away.
    waiting: HashMap<Sku, VecDeque<(u64, Instant)>>,
    /// How long each took from its commit.
    arrived: Vec<Duration>,
}

impl Visible {
    pub(super) fn in_cache(cache: RedisAvailability) -> Self {
        Self {
            cache,
            seen: Mutex::default(),
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records how many units of a SKU are left after a commit.
    pub(super) fn committed(&self, sku: Sku, units: u64) {
        let (now, mut seen) = (Instant::now(), self.seen());
        match seen.entries.get(&sku) {
            // It was faster than the answer to its caller.
            Some((left, since)) if *left <= units => {
                let took = since.saturating_duration_since(now);
                seen.arrived.push(took);
            }
            _ => seen.waiting.entry(sku).or_default().push_back((units, now)),
        }
    }

    /// Waits until this number of SKUs is in Redis.
    pub(super) async fn wait_for(&self, skus: usize, patience: Duration) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            let found = self.seen().entries.len();
            if found >= skus {
                return Ok(());
            }
            ensure!(begun.elapsed() < patience, "{found} SKUs are in Redis");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until this number of commits is in Redis, and returns how long each took.
    pub(super) async fn all_arrived(
        &self,
        commits: usize,
        patience: Duration,
    ) -> anyhow::Result<Vec<Duration>> {
        let begun = Instant::now();
        loop {
            let found = self.seen().arrived.len();
            if found >= commits {
                return Ok(std::mem::take(&mut self.seen().arrived));
            }
            ensure!(begun.elapsed() < patience, "{found} commits are in Redis");
            tokio::time::sleep(LOOK).await;
        }
    }

    pub(super) async fn read_all(&self, skus: &[Sku]) -> Result<CacheRead, CatalogError> {
        self.cache.read(skus).await
    }
}

impl Seen {
    fn note(&mut self, entry: &StockChanged, now: Instant) {
        let units = entry.new_stock_count;
        self.entries.insert(entry.sku.clone(), (units, now));
        let Some(waiting) = self.waiting.get_mut(&entry.sku) else {
            return;
        };
        while let Some((_, since)) = waiting.pop_front_if(|(left, _)| *left >= units) {
            self.arrived.push(now.duration_since(since));
        }
    }
}

#[async_trait]
impl AvailabilityCache for Visible {
    async fn read(&self, skus: &[Sku]) -> Result<CacheRead, CatalogError> {
        self.cache.read(skus).await
    }

    async fn apply(
        &self,
        entries: &[StockChanged],
        advances: &[Advance],
    ) -> Result<Applied, CatalogError> {
        let applied = self.cache.apply(entries, advances).await?;
        let (now, mut seen) = (Instant::now(), self.seen());
        for entry in entries {
            seen.note(entry, now);
        }
        Ok(applied)
    }

    async fn write(&self, entries: &[StockChanged]) -> Result<Vec<CacheWrite>, CatalogError> {
        self.cache.write(entries).await
    }

    async fn write_absent(&self, skus: &[Sku], ttl: Duration) -> Result<(), CatalogError> {
        self.cache.write_absent(skus, ttl).await
    }

    async fn begin_fill(&self) -> Result<FillToken, CatalogError> {
        self.cache.begin_fill().await
    }

    async fn fill(
        &self,
        token: &FillToken,
        entries: &[StockChanged],
    ) -> Result<FillStep, CatalogError> {
        self.cache.fill(token, entries).await
    }

    async fn end_fill(&self, token: &FillToken) -> Result<Coverage, CatalogError> {
        self.cache.end_fill(token).await
    }
}
