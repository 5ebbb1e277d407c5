//! The conformance suites: over a pool, and through a transaction of the host's around each call.

use std::sync::Arc;

use async_trait::async_trait;
use sqlx::{Connection, PgPool};
use stockade_inventory_core::{
    Adjusted, Adjustment, Cursor, Expiry, ExtendRequest, InventoryError, InventoryStore,
    MovementPage, Reservation, ReservationId, ReserveRequest, Reserved, Sku, SkuStock, StockOutbox,
    StockPage, StockRetention, StockSource, TransitionRequest, Transitioned,
};
use stockade_postgres::PostgresInventory;
use stockade_testkit::inventory::{InventoryHarness, OutboxHarness, StockRetentionHarness};
use stockade_testkit::{Absent, Harness, Reopen};

use crate::harness::{OwnSchema, pool, url};

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

stockade_testkit::inventory_store_conformance!(store, PostgresHarness);
stockade_testkit::inventory_reopen_conformance!(reopening, PostgresHarness);
stockade_testkit::stock_outbox_conformance!(outbox, PostgresHarness);
stockade_testkit::stock_retention_conformance!(retention, PostgresHarness);

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
        limit: usize,
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

    async fn expire_overdue(
        &self,
        limit: usize,
    ) -> Result<Vec<Result<Reservation, InventoryError>>, InventoryError> {
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
        limit: usize,
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
