//! The conformance suites, over a file of its own for each case.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use custom_adapter::RedbInventory;
use redb::{Database, ReadableTable as _, TableDefinition};
use stockade_change_feed::{ManualClock, Timestamp};
use stockade_inventory_core::{InventoryStore, ReservationId, Sku, StockOutbox, StockRetention};
use stockade_testkit::inventory::{
    DamageHarness, EpochHarness, InventoryHarness, OutboxHarness, StockRetentionHarness,
};
use stockade_testkit::{Absent, Crash, Harness, Reopen};
use tempfile::TempDir;

struct RedbHarness {
    store: RedbInventory,
    clock: Arc<ManualClock>,
    database: Arc<Database>,
    /// Removed with the harness; none where another process owns it.
    folder: Option<TempDir>,
}

impl RedbHarness {
    fn in_folder(folder: &Path, clock: Arc<ManualClock>) -> Self {
        let database = Arc::new(Database::create(folder.join("stock.redb")).unwrap());
        let store = RedbInventory::over(database.clone(), clock.clone()).unwrap();
        Self {
            store,
            clock,
            database,
            folder: None,
        }
    }
}

fn clock() -> Arc<ManualClock> {
    let start = Timestamp::from_millis(1_700_000_000_000);
    Arc::new(ManualClock::new(start))
}

#[async_trait]
impl Harness for RedbHarness {
    const BACKEND: &'static str = "redb";

    async fn open() -> Result<Self, Absent> {
        let folder = tempfile::tempdir().unwrap();
        let mut harness = Self::in_folder(folder.path(), clock());
        harness.folder = Some(folder);
        Ok(harness)
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
            database,
            folder,
        } = self;
        drop((store, database));
        let path = folder.as_ref().unwrap().path();
        let mut harness = Self::in_folder(path, clock);
        harness.folder = folder;
        harness
    }
}

#[async_trait]
impl Crash for RedbHarness {
    type Data = TempDir;

    async fn create() -> Result<TempDir, Absent> {
        Ok(tempfile::tempdir().unwrap())
    }

    fn address(folder: &TempDir) -> String {
        folder.path().to_str().unwrap().to_owned()
    }

    async fn open_at(folder: &str) -> Self {
        Self::in_folder(Path::new(folder), clock())
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
    const EXACT_TIME: bool = true;

    fn retention(&self) -> Arc<dyn StockRetention> {
        Arc::new(self.store.clone())
    }
}

#[async_trait]
impl EpochHarness for RedbHarness {
    async fn raise_epoch(&self) {
        self.store.raise_epoch().await.unwrap();
    }
}

#[async_trait]
impl DamageHarness for RedbHarness {
    async fn damage(&self, reservation: &ReservationId) {
        const RESERVATIONS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("reservations");
        let transaction = self.database.begin_write().unwrap();
        let mut table = transaction.open_table(RESERVATIONS).unwrap();
        let row: &[u8] = b"{\"state\": \"held\"";
        table.insert(reservation.as_str(), row).unwrap();
        drop(table);
        transaction.commit().unwrap();
    }

    async fn damage_levels(&self, sku: &Sku) {
        const LEVELS: TableDefinition<'_, (&str, &str), &[u8]> = TableDefinition::new("levels");
        let transaction = self.database.begin_write().unwrap();
        let mut table = transaction.open_table(LEVELS).unwrap();
        let rows = table.range((sku.as_str(), "")..).unwrap();
        let keys = rows.map(|row| row.unwrap().0.value().1.to_owned());
        let locations: Vec<String> = keys.collect();
        for location in locations {
            let at = (sku.as_str(), location.as_str());
            if table.get(at).unwrap().is_some() {
                let row: &[u8] = b"{\"counts\":";
                table.insert(at, row).unwrap();
            }
        }
        drop(table);
        transaction.commit().unwrap();
    }
}

stockade_testkit::inventory_store_conformance!(store, RedbHarness);
stockade_testkit::inventory_reopen_conformance!(reopening, RedbHarness);
stockade_testkit::inventory_crash_conformance!(crash, RedbHarness);
stockade_testkit::inventory_damage_conformance!(damage, RedbHarness);
stockade_testkit::stock_outbox_conformance!(outbox, RedbHarness);
stockade_testkit::stock_outbox_reopen_conformance!(outbox_reopening, RedbHarness);
stockade_testkit::stock_outbox_crash_conformance!(outbox_crash, RedbHarness);
stockade_testkit::stock_epoch_conformance!(epoch, RedbHarness);
stockade_testkit::stock_epoch_reopen_conformance!(epoch_reopening, RedbHarness);
stockade_testkit::stock_retention_conformance!(retention, RedbHarness);
stockade_testkit::stock_retention_reopen_conformance!(retention_reopening, RedbHarness);
