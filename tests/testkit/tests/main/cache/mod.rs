//! The cache of availability in memory, and broken ones.

mod flawed;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use stockade_catalog_core::AvailabilityCache;
use stockade_catalog_core::memory::{MemoryAvailabilityCache, SavedCache};
use stockade_change_feed::{ManualClock, Timestamp};
use stockade_testkit::cache::{CacheHarness, EmptyingHarness, RestoringHarness};
use stockade_testkit::{Absent, Harness};

/// The cache in memory, on a clock that is moved by hand.
struct Memory {
    clock: Arc<ManualClock>,
    cache: Arc<MemoryAvailabilityCache>,
}

#[async_trait]
impl Harness for Memory {
    const BACKEND: &'static str = "memory";

    async fn open() -> Result<Self, Absent> {
        let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
        let cache = MemoryAvailabilityCache::new().with_clock(clock.clone());
        let cache = Arc::new(cache);
        Ok(Self { clock, cache })
    }

    async fn pass_time(&self, by: Duration) {
        self.clock.advance(by);
    }
}

impl CacheHarness for Memory {
    fn cache(&self) -> Arc<dyn AvailabilityCache> {
        self.cache.clone()
    }
}

#[async_trait]
impl EmptyingHarness for Memory {
    async fn empty(&self) {
        self.cache.clear();
    }
}

#[async_trait]
impl RestoringHarness for Memory {
    type Copy = SavedCache;

    async fn save(&self) -> SavedCache {
        self.cache.save()
    }

    async fn restore(&self, copy: SavedCache) {
        self.cache.restore(copy);
    }
}

stockade_testkit::availability_cache_conformance!(memory, Memory);
stockade_testkit::cache_emptying_conformance!(memory_emptied, Memory);
stockade_testkit::cache_restoring_conformance!(memory_restored, Memory);
