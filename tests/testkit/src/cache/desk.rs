//! Helpers for the cases of a cache.

use std::sync::Arc;
use std::time::Duration;

use stockade_catalog_core::{
    Advance, Advanced, Applied, AvailabilityCache, CacheEntry, CacheRead, CacheWrite, Completeness,
    Continuity, Coverage, FillStep, FillToken,
};
use stockade_change_feed::{Offset, ReadFrom, Timestamp};
use stockade_inventory_core::{Sku, StockChanged, Version};

use super::CacheHarness;

/// How long absences are stored in cases that let them expire.
pub(super) const SHORT: Duration = Duration::from_secs(1);
/// A pause after which they have expired.
pub(super) const PAST_SHORT: Duration = Duration::from_millis(1_200);
/// How long other absences are stored.
pub(super) const LONG: Duration = Duration::from_secs(3_600);

pub(super) fn sku(text: &str) -> Sku {
    Sku::new(text).expect("cases use valid SKUs")
}

/// This many units of a SKU, as of version `number` of epoch 0.
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

pub(super) fn complete(partitions: u32, second: i64) -> Completeness {
    Completeness {
        partitions,
        epoch: 0,
        complete_as_of: Timestamp::from_millis(1_764_000_000_000 + second * 1_000),
    }
}

/// Records of a partition that follow those up to `after`.
pub(super) fn following(partition: u32, after: u128, upto: u128) -> Advance {
    Advance::empty(partition, ReadFrom::After(Offset(after)), Offset(upto))
}

/// The first records of a partition.
pub(super) fn start(partition: u32, upto: u128) -> Advance {
    Advance::empty(partition, ReadFrom::Start, Offset(upto))
}

/// A heartbeat in a partition that has advanced up to offset 0.
pub(super) fn heartbeat(partition: u32, complete: Completeness) -> Advance {
    Advance {
        complete: Some(complete),
        ..following(partition, 0, 0)
    }
}

pub(super) const CONTINUOUS: Advanced = Advanced {
    continuity: Continuity::Continuous,
    complete: None,
};

/// A gap after the offset that the cache had reached.
pub(super) fn gap(upto: Option<u128>) -> Advanced {
    let upto = upto.map(Offset);
    Advanced {
        continuity: Continuity::Gap { upto },
        complete: None,
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

    pub(super) fn cache(&self) -> Arc<dyn AvailabilityCache> {
        self.cache.clone()
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

    pub(super) async fn apply(&self, entries: &[StockChanged], advances: &[Advance]) -> Applied {
        let applied = self.cache.apply(entries, advances).await;
        let applied = applied.unwrap_or_else(|error| panic!("apply failed: {error}"));
        let counts = (applied.entries.len(), applied.advances.len());
        let asked = (entries.len(), advances.len());
        assert_eq!(counts, asked, "each entry and each advance has an outcome");
        applied
    }

    pub(super) async fn advance(&self, advances: &[Advance]) -> Vec<Advanced> {
        self.apply(&[], advances).await.advances
    }

    /// Begins this many partitions at offset 0, and fills the cache without entries.
    pub(super) async fn begun(&self, partitions: u32) {
        let first: Vec<Advance> = (0..partitions).map(|number| start(number, 0)).collect();
        self.advance(&first).await;
        self.filled().await;
    }

    pub(super) async fn begin_fill(&self) -> FillToken {
        let token = self.cache.begin_fill().await;
        token.unwrap_or_else(|error| panic!("begin_fill failed: {error}"))
    }

    pub(super) async fn fill(&self, token: &FillToken, entries: &[StockChanged]) -> FillStep {
        let step = self.cache.fill(token, entries).await;
        let step = step.unwrap_or_else(|error| panic!("fill failed: {error}"));
        assert_eq!(
            step.entries.len(),
            entries.len(),
            "each entry has an outcome"
        );
        step
    }

    /// Writes a page of a fill that continues, and returns the next token.
    pub(super) async fn page(&self, token: &FillToken, entries: &[StockChanged]) -> FillToken {
        let step = self.fill(token, entries).await;
        step.next.expect("the fill continues")
    }

    pub(super) async fn end_fill(&self, token: &FillToken) -> Coverage {
        let coverage = self.cache.end_fill(token).await;
        coverage.unwrap_or_else(|error| panic!("end_fill failed: {error}"))
    }

    /// Fills the cache without entries.
    pub(super) async fn filled(&self) {
        let token = self.begin_fill().await;
        assert_eq!(self.end_fill(&token).await, Coverage::Filled);
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

    /// How far each partition is complete, by partition.
    pub(super) async fn complete(&self) -> Vec<(u32, Completeness)> {
        let marks = self.read(&[]).await.marks.into_iter();
        let mut complete: Vec<_> = marks
            .filter_map(|mark| Some((mark.partition, mark.complete?)))
            .collect();
        complete.sort_by_key(|(partition, _)| *partition);
        complete
    }

    /// How far each partition has advanced, by partition.
    pub(super) async fn upto(&self) -> Vec<(u32, u128)> {
        let marks = self.read(&[]).await.marks.into_iter();
        let mut upto: Vec<_> = marks.map(|mark| (mark.partition, mark.upto.0)).collect();
        upto.sort_unstable();
        upto
    }

    pub(super) async fn coverage(&self) -> Coverage {
        self.read(&[]).await.coverage
    }
}
