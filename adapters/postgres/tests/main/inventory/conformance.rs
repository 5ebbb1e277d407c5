//! The conformance suites: over a pool, and through a transaction of the host's around each call.

use std::num::NonZeroUsize;
use std::sync::Arc;

use async_trait::async_trait;
use sqlx::{Connection, PgPool};
use stack::Server as _;
use stockade_inventory_core::{
    Adjusted, Adjustment, Cursor, Expiry, ExtendRequest, InventoryError, InventoryStore,
    MovementPage, Reservation, ReservationId, ReserveRequest, Reserved, Sku, SkuStock, StockOutbox,
    StockPage, StockRetention, StockSource, Sweep, TransitionRequest, Transitioned,
};
use stockade_postgres::PostgresInventory;
use stockade_testkit::inventory::{
    DamageHarness, EpochHarness, InventoryHarness, OutboxHarness, SharedHarness,
    StockRetentionHarness,
};
use stockade_testkit::{Absent, Crash, Harness, Reopen};

use super::shop::run;
use crate::harness::{OwnSchema, blocking, kill, pool, url};

pub(crate) struct PostgresHarness {
    pub(crate) store: PostgresInventory,
    pub(crate) pool: PgPool,
    pub(crate) schema: OwnSchema,
}

impl PostgresHarness {
    async fn over(schema: OwnSchema) -> Self {
        let pool = pool(&schema.url).await;
        let store = PostgresInventory::new(pool.clone()).with_schema(schema.name.clone());
        Self {
            store,
            pool,
            schema,
        }
    }
}

#[async_trait]
impl Harness for PostgresHarness {
    const BACKEND: &'static str = "postgres";

    async fn open() -> Result<Self, Absent> {
        let harness = Self::over(OwnSchema::new(url()?)).await;
        harness.store.migrate().await.unwrap();
        Ok(harness)
    }
}

#[async_trait]
impl Reopen for PostgresHarness {
    async fn reopen(self) -> Self {
        self.pool.close().await;
        Self::over(self.schema).await
    }
}

impl InventoryHarness for PostgresHarness {
    fn store(&self) -> Arc<dyn InventoryStore> {
        Arc::new(self.store.clone())
    }
}

impl OutboxHarness for PostgresHarness {
    fn outbox(&self) -> Arc<dyn StockOutbox> {
        Arc::new(self.store.clone())
    }
}

impl StockRetentionHarness for PostgresHarness {
    fn retention(&self) -> Arc<dyn StockRetention> {
        Arc::new(self.store.clone())
    }
}

#[async_trait]
impl EpochHarness for PostgresHarness {
    async fn raise_epoch(&self) {
        self.store.raise_epoch().await.unwrap();
    }
}

#[async_trait]
impl DamageHarness for PostgresHarness {
    async fn damage(&self, reservation: &ReservationId) {
        let damage = "UPDATE {schema}.reservations SET lines = '[7]' WHERE id = ";
        run(self, &format!("{damage}'{reservation}'")).await;
    }

    /// The columns refuse what can not be read.
    async fn damage_levels(&self, sku: &Sku) {
        let damage = "UPDATE {schema}.levels SET reserved = 0 WHERE sku = ";
        run(self, &format!("{damage}'{sku}'")).await;
    }
}

#[async_trait]
impl SharedHarness for PostgresHarness {
    async fn second_store(&self) -> Arc<dyn InventoryStore> {
        let pool = pool(&self.schema.url).await;
        Arc::new(PostgresInventory::new(pool).with_schema(self.schema.name.clone()))
    }
}

stockade_testkit::inventory_store_conformance!(store, PostgresHarness);
stockade_testkit::inventory_shared_conformance!(shared, PostgresHarness);
stockade_testkit::inventory_damage_conformance!(damage, PostgresHarness);
stockade_testkit::stock_outbox_reopen_conformance!(outbox_reopening, PostgresHarness);
stockade_testkit::stock_epoch_conformance!(epoch, PostgresHarness);
stockade_testkit::stock_epoch_reopen_conformance!(epoch_reopening, PostgresHarness);
stockade_testkit::inventory_reopen_conformance!(reopening, PostgresHarness);
stockade_testkit::stock_outbox_conformance!(outbox, PostgresHarness);
stockade_testkit::stock_retention_conformance!(retention, PostgresHarness);
stockade_testkit::stock_retention_reopen_conformance!(retention_reopening, PostgresHarness);

/// A host that makes each call in a transaction of its own, and commits it.
struct Host {
    inventory: PostgresInventory,
    pool: PgPool,
}

/// Makes a call within a transaction that is committed, whatever the call says.
macro_rules! within {
    ($host:expr, $store:ident => $call:expr) => {{
        let mut connection = $host.pool.acquire().await.unwrap();
        let mut transaction = connection.begin().await.unwrap();
        let outcome = {
            let $store = $host.inventory.within(&mut transaction);
            $call.await
        };
        transaction.commit().await.unwrap();
        outcome
    }};
}

#[async_trait]
impl StockSource for Host {
    async fn stock(&self, skus: &[Sku]) -> Result<Vec<Option<SkuStock>>, InventoryError> {
        within!(self, store => store.stock(skus))
    }

    async fn scan(
        &self,
        after: Option<&Cursor>,
        limit: NonZeroUsize,
    ) -> Result<StockPage, InventoryError> {
        within!(self, store => store.scan(after, limit))
    }
}

#[async_trait]
impl InventoryStore for Host {
    async fn reserve(
        &self,
        requests: &[ReserveRequest],
    ) -> Result<Vec<Result<Reserved, InventoryError>>, InventoryError> {
        within!(self, store => store.reserve(requests))
    }

    async fn transition(
        &self,
        request: &TransitionRequest,
    ) -> Result<Transitioned, InventoryError> {
        within!(self, store => store.transition(request))
    }

    async fn extend(&self, request: &ExtendRequest) -> Result<Transitioned, InventoryError> {
        within!(self, store => store.extend(request))
    }

    async fn expire(
        &self,
        ids: &[ReservationId],
    ) -> Result<Vec<Result<Expiry, InventoryError>>, InventoryError> {
        within!(self, store => store.expire(ids))
    }

    async fn expire_overdue(&self, limit: NonZeroUsize) -> Result<Sweep, InventoryError> {
        within!(self, store => store.expire_overdue(limit))
    }

    async fn adjust(
        &self,
        adjustments: &[Adjustment],
    ) -> Result<Vec<Result<Adjusted, InventoryError>>, InventoryError> {
        within!(self, store => store.adjust(adjustments))
    }

    async fn reservation(&self, id: &ReservationId) -> Result<Reservation, InventoryError> {
        within!(self, store => store.reservation(id))
    }

    async fn movements(
        &self,
        sku: &Sku,
        after: Option<&Cursor>,
        limit: NonZeroUsize,
    ) -> Result<MovementPage, InventoryError> {
        within!(self, store => store.movements(sku, after, limit))
    }
}

struct WithinHarness(PostgresHarness);

#[async_trait]
impl Harness for WithinHarness {
    const BACKEND: &'static str = "postgres";

    async fn open() -> Result<Self, Absent> {
        PostgresHarness::open().await.map(Self)
    }
}

impl InventoryHarness for WithinHarness {
    fn store(&self) -> Arc<dyn InventoryStore> {
        Arc::new(Host {
            inventory: self.0.store.clone(),
            pool: self.0.pool.clone(),
        })
    }
}

stockade_testkit::inventory_store_conformance!(within_host, WithinHarness);

/// Inventory on a server of its own, which is killed.
struct KilledHarness(PostgresInventory);

#[async_trait]
impl Harness for KilledHarness {
    const BACKEND: &'static str = "postgres";

    async fn open() -> Result<Self, Absent> {
        Ok(Self::open_at(&url()?).await)
    }
}

#[async_trait]
impl Crash for KilledHarness {
    type Data = Option<stack::Postgres>;

    async fn create() -> Result<Self::Data, Absent> {
        // Where no server is asked for, none is started.
        url()?;
        let server = blocking(stack::Postgres::start).await.unwrap();
        let store = Self::open_at(&server.url()).await.0;
        store.migrate().await.unwrap();
        Ok(Some(server))
    }

    fn address(server: &Self::Data) -> String {
        server.as_ref().unwrap().url()
    }

    async fn open_at(url: &str) -> Self {
        Self(PostgresInventory::new(pool(url).await))
    }

    async fn kill_server(server: &mut Self::Data) {
        kill(server).await;
    }
}

impl InventoryHarness for KilledHarness {
    fn store(&self) -> Arc<dyn InventoryStore> {
        Arc::new(self.0.clone())
    }
}

impl OutboxHarness for KilledHarness {
    fn outbox(&self) -> Arc<dyn StockOutbox> {
        Arc::new(self.0.clone())
    }
}

stockade_testkit::inventory_crash_conformance!(crash, KilledHarness);
stockade_testkit::stock_outbox_crash_conformance!(outbox_crash, KilledHarness);
