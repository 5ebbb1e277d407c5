//! The conformance suites over a file of its own for each case.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use custom_adapter::RedbInventory;
use stockade_change_feed::{ManualClock, Timestamp};
use stockade_inventory_core::{InventoryStore, StockOutbox, StockRetention};
use stockade_testkit::inventory::{InventoryHarness, OutboxHarness, StockRetentionHarness};
use stockade_testkit::{Absent, Harness, Reopen};
use tempfile::TempDir;

struct RedbHarness {
    store: RedbInventory,
    clock: Arc<ManualClock>,
    folder: TempDir,
}

impl RedbHarness {
    fn in_folder(folder: TempDir, clock: Arc<ManualClock>) -> Self {
        let store = RedbInventory::open(folder.path().join("stock.redb"), clock.clone()).unwrap();
        Self {
            store,
            clock,
            folder,
        }
    }
}

#[async_trait]
impl Harness for RedbHarness {
    const BACKEND: &'static str = "redb";

    async fn open() -> Result<Self, Absent> {
        let clock = ManualClock::new(Timestamp::from_millis(1_700_000_000_000));
        Ok(Self::in_folder(
            tempfile::tempdir().unwrap(),
            Arc::new(clock),
        ))
    }

    async fn pass_time(&self, by: Duration) {
        self.clock.advance(by);
    }
}

#[async_trait]
impl Reopen for RedbHarness {
    async fn reopen(self) -> Self {
        let Self {
            store,
            clock,
            folder,
        } = self;
        drop(store);
        Self::in_folder(folder, clock)
    }
}

impl InventoryHarness for RedbHarness {
    fn store(&self) -> Arc<dyn InventoryStore> {
        Arc::new(self.store.clone())
    }
}

impl OutboxHarness for RedbHarness {
    fn outbox(&self) -> Arc<dyn StockOutbox> {
        Arc::new(self.store.clone())
    }
}

impl StockRetentionHarness for RedbHarness {
    fn retention(&self) -> Arc<dyn StockRetention> {
        Arc::new(self.store.clone())
    }
}

stockade_testkit::inventory_store_conformance!(store, RedbHarness);
stockade_testkit::inventory_reopen_conformance!(reopening, RedbHarness);
stockade_testkit::stock_outbox_conformance!(outbox, RedbHarness);
stockade_testkit::stock_retention_conformance!(retention, RedbHarness);
