//! The suite, with the store in memory behind the routes.

use std::num::NonZeroUsize;
use std::sync::Arc;

use async_trait::async_trait;
use stockade_http::HttpStockSource;
use stockade_inventory_core::memory::MemoryInventory;
use stockade_inventory_core::{
    Adjustment, InventoryStore, Line, Lines, LocationId, OperationId, OwnerId, Quantity, Reason,
    ReservationId, ReserveRequest, Sku, StockChange, StockSource,
};
use stockade_testkit::inventory::SourceHarness;
use stockade_testkit::{Absent, Harness};

use crate::server::{client, options, routes_over, stocked};

struct OverHttp {
    store: MemoryInventory,
    source: HttpStockSource,
}

#[async_trait]
impl Harness for OverHttp {
    const BACKEND: &'static str = "http";

    async fn open() -> Result<Self, Absent> {
        let store = stocked(&[]).await;
        let source = client(routes_over(Arc::new(store.clone())).await);
        Ok(Self { store, source })
    }
}

#[async_trait]
impl SourceHarness for OverHttp {
    fn source(&self) -> Arc<dyn StockSource> {
        Arc::new(self.source.clone())
    }

    async fn receive(&self, sku: &Sku, location: &LocationId, quantity: Quantity) {
        let operation = OperationId::new(ReservationId::random().as_str()).unwrap();
        let change = StockChange::Receive(quantity);
        let reason = Reason::new("delivery").unwrap();
        let adjustment = Adjustment::new(operation, sku.clone(), change, reason);
        let adjusted = self.store.adjust(&[adjustment.at(location.clone())]).await;
        adjusted.unwrap().remove(0).unwrap();
    }

    async fn reserve(&self, sku: &Sku, location: &LocationId, quantity: Quantity) {
        let lines = Lines::new([Line::new(sku.clone(), quantity).at(location.clone())]).unwrap();
        let owner = OwnerId::new("ann").unwrap();
        let request = ReserveRequest::new(ReservationId::random(), owner, lines);
        let reserved = self.store.reserve(&[request]).await;
        reserved.unwrap().remove(0).unwrap();
    }
}

/// Makes the smallest requests, so that every call of several SKUs has several.
struct OneByOne(OverHttp);

#[async_trait]
impl Harness for OneByOne {
    const BACKEND: &'static str = "http";

    async fn open() -> Result<Self, Absent> {
        let store = stocked(&[]).await;
        let address = routes_over(Arc::new(store.clone())).await;
        let options = options(address)
            .with_max_skus(NonZeroUsize::MIN)
            .with_timeout(std::time::Duration::from_secs(30));
        let source = HttpStockSource::new(options).unwrap();
        Ok(Self(OverHttp { store, source }))
    }
}

#[async_trait]
impl SourceHarness for OneByOne {
    fn source(&self) -> Arc<dyn StockSource> {
        self.0.source()
    }

    async fn receive(&self, sku: &Sku, location: &LocationId, quantity: Quantity) {
        self.0.receive(sku, location, quantity).await;
    }

    async fn reserve(&self, sku: &Sku, location: &LocationId, quantity: Quantity) {
        self.0.reserve(sku, location, quantity).await;
    }
}

stockade_testkit::stock_source_conformance!(over_http, OverHttp);
stockade_testkit::stock_source_conformance!(one_by_one, OneByOne);
