//! Catalogues in memory, and broken ones.

mod flawed;
mod flawed_feed;

use std::sync::Arc;

use async_trait::async_trait;
use stockade_catalog_core::memory::MemoryCatalog;
use stockade_catalog_core::{CatalogStore, rows};
use stockade_change_feed::memory::MemoryFeed;
use stockade_change_feed::{Feed, SystemClock};
use stockade_testkit::catalog::{CatalogHarness, ChangesHarness};
use stockade_testkit::{Absent, Harness};

/// A catalogue in memory that publishes to a feed in memory.
struct Memory {
    store: Arc<MemoryCatalog>,
    feed: MemoryFeed,
}

#[async_trait]
impl Harness for Memory {
    const BACKEND: &'static str = "memory";

    async fn open() -> Result<Self, Absent> {
        let feed = MemoryFeed::new(Arc::new(SystemClock::new()));
        let store = MemoryCatalog::new().publishing_to(feed.clone(), rows::catalog_changes());
        let store = Arc::new(store);
        Ok(Self { store, feed })
    }
}

impl CatalogHarness for Memory {
    fn store(&self) -> Arc<dyn CatalogStore> {
        self.store.clone()
    }
}

impl ChangesHarness for Memory {
    fn feed(&self) -> Arc<dyn Feed> {
        Arc::new(self.feed.clone())
    }
}

stockade_testkit::catalog_store_conformance!(memory, Memory);
stockade_testkit::catalog_changes_conformance!(memory_changes, Memory);
