//! Short words for what cases do with a cache.

use std::sync::Arc;
use std::time::Duration;

use stockade_catalog_core::{
    AvailabilityCache, CacheEntry, CacheRead, CacheWrite, Coverage, FillToken, MarkWrite,
    PartitionMark,
};
use stockade_change_feed::Timestamp;
use stockade_inventory_core::{Sku, StockChanged, Version};

use super::CacheHarness;

/// How long absences are remembered that a case lets end.
pub(super) const SHORT: Duration = Duration::from_secs(1);
/// After which they have surely ended.
pub(super) const PAST_SHORT: Duration = Duration::from_millis(1_200);
/// How long others are remembered.
pub(super) const LONG: Duration = Duration::from_secs(3_600);

pub(super) fn sku(text: &str) -> Sku {
    Sku::new(text).expect("cases use valid SKUs")
}

/// So many units of a SKU, as of version `number` of epoch 0.
pub(super) fn entry(of: &str, available: u64, number: u64) -> StockChanged {
    in_epoch(of, available, Version::new(0, number))
}

pub(super) fn in_epoch(of: &str, available: u64, version: Version) -> StockChanged {
    let changed_at = Timestamp::from_millis(1_764_000_000_000);
    StockChanged::new(sku(of), available, version, changed_at)
}

pub(super) fn known(available: u64, number: u64) -> Option<CacheEntry> {
    let version = Version::new(0, number);
    Some(CacheEntry::Known { available, version })
}

pub(super) fn mark(partition: u32, partitions: u32, second: i64) -> PartitionMark {
    PartitionMark {
        partition,
        partitions,
        epoch: 0,
        complete_as_of: Timestamp::from_millis(1_764_000_000_000 + second * 1_000),
    }
}

/// A cache, and the words for using it.
#[derive(Clone)]
pub(super) struct Desk {
    cache: Arc<dyn AvailabilityCache>,
}

impl Desk {
    pub(super) fn open(harness: &impl CacheHarness) -> Self {
        let cache = harness.cache();
        Self { cache }
    }

    pub(super) async fn write(&self, entries: &[StockChanged]) -> Vec<CacheWrite> {
        let outcomes = self.cache.write(entries).await;
        let outcomes = outcomes.unwrap_or_else(|error| panic!("write failed: {error}"));
        assert_eq!(outcomes.len(), entries.len(), "each entry has an outcome");
        outcomes
    }

    pub(super) async fn write_one(&self, entry: StockChanged) -> CacheWrite {
        self.write(&[entry]).await[0]
    }

    pub(super) async fn write_absent(&self, of: &str, ttl: Duration) {
        let written = self.cache.write_absent(&[sku(of)], ttl).await;
        written.unwrap_or_else(|error| panic!("write_absent failed: {error}"));
    }

    pub(super) async fn mark(&self, marks: &[PartitionMark]) -> Vec<MarkWrite> {
        let outcomes = self.cache.mark(marks).await;
        let outcomes = outcomes.unwrap_or_else(|error| panic!("mark failed: {error}"));
        assert_eq!(outcomes.len(), marks.len(), "each mark has an outcome");
        outcomes
    }

    pub(super) async fn begin_fill(&self) -> FillToken {
        let token = self.cache.begin_fill().await;
        token.unwrap_or_else(|error| panic!("begin_fill failed: {error}"))
    }

    pub(super) async fn finish_fill(&self, token: &FillToken) -> Coverage {
        let coverage = self.cache.mark_filled(token).await;
        coverage.unwrap_or_else(|error| panic!("mark_filled failed: {error}"))
    }

    /// Fills the cache with nothing.
    pub(super) async fn mark_filled(&self) {
        let token = self.begin_fill().await;
        assert_eq!(self.finish_fill(&token).await, Coverage::Filled);
    }

    pub(super) async fn read(&self, skus: &[Sku]) -> CacheRead {
        let read = self.cache.read(skus).await;
        let read = read.unwrap_or_else(|error| panic!("read failed: {error}"));
        assert_eq!(read.entries.len(), skus.len(), "each SKU has an entry");
        read
    }

    pub(super) async fn entries(&self, of: &[&str]) -> Vec<Option<CacheEntry>> {
        let skus: Vec<Sku> = of.iter().map(|text| sku(text)).collect();
        self.read(&skus).await.entries
    }

    pub(super) async fn entry(&self, of: &str) -> Option<CacheEntry> {
        self.entries(&[of]).await[0]
    }

    /// The marks, by partition.
    pub(super) async fn marks(&self) -> Vec<PartitionMark> {
        let mut marks = self.read(&[]).await.marks;
        marks.sort_by_key(|mark| mark.partition);
        marks
    }

    pub(super) async fn coverage(&self) -> Coverage {
        self.read(&[]).await.coverage
    }
}
