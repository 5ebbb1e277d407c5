//! Mocks of the traits, made by [`mockall`], for the tests of a host. They check which calls are
//! made, and return what the test sets.
//!
//! A mock keeps no rule of the traits. For a test that needs a store that does, use the one in
//! [`memory`](crate::memory).
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use stockade_change_feed::Failure;
//! use stockade_inventory_core::mock::MockInventoryStore;
//! use stockade_inventory_core::{Inventory, InventoryError, Sku};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), InventoryError> {
//! // A store that can not be reached at the first call.
//! let mut store = MockInventoryStore::new();
//! store.expect_stock().times(1).returning(|_| {
//!     Err(Failure::unavailable("stock", Duration::ZERO, "connection refused").into())
//! });
//! store.expect_stock().returning(|skus| Ok(vec![None; skus.len()]));
//!
//! let inventory = Inventory::new(Arc::new(store));
//! assert_eq!(inventory.stock(&[Sku::new("tee")?]).await?, [None]);
//! # Ok(())
//! # }
//! ```

use std::num::NonZeroUsize;

use async_trait::async_trait;
use mockall::mock;

use crate::error::InventoryError;
use crate::model::{
    Adjusted, Adjustment, Expiry, ExtendRequest, Reservation, ReservationId, ReserveRequest,
    Reserved, Sku, SkuStock, Sweep, TransitionRequest, Transitioned, Version,
};
use crate::store::{
    Cursor, InventoryStore, MovementPage, OutboxPage, StockOutbox, StockPage, StockSource,
};

pub use crate::store::{MockReservationTimer, MockStockRetention};

// Optional references need lifetimes with names, which `automock` can not give them.
mock! {
    /// Mocks [`StockSource`].
    pub StockSource {}

    #[async_trait]
    impl StockSource for StockSource {
        async fn stock(&self, skus: &[Sku]) -> Result<Vec<Option<SkuStock>>, InventoryError>;
        async fn scan<'a, 'b>(
            &'a self,
            after: Option<&'b Cursor>,
            limit: NonZeroUsize,
        ) -> Result<StockPage, InventoryError>;
    }
}

mock! {
    /// Mocks [`StockOutbox`].
    pub StockOutbox {}

    #[async_trait]
    impl StockOutbox for StockOutbox {
        async fn unpublished<'a, 'b>(
            &'a self,
            after: Option<&'b Cursor>,
            limit: NonZeroUsize,
        ) -> Result<OutboxPage, InventoryError>;
        async fn mark_published(
            &self,
            published: &[(Sku, Version)],
        ) -> Result<(), InventoryError>;
    }
}

mock! {
    /// Mocks [`InventoryStore`], and with it [`StockSource`].
    pub InventoryStore {}

    #[async_trait]
    impl StockSource for InventoryStore {
        async fn stock(&self, skus: &[Sku]) -> Result<Vec<Option<SkuStock>>, InventoryError>;
        async fn scan<'a, 'b>(
            &'a self,
            after: Option<&'b Cursor>,
            limit: NonZeroUsize,
        ) -> Result<StockPage, InventoryError>;
    }

    #[async_trait]
    impl InventoryStore for InventoryStore {
        async fn reserve(&self, requests: &[ReserveRequest]) -> Result<Vec<Result<Reserved, InventoryError>>, InventoryError>;
        async fn transition(&self, request: &TransitionRequest)
        -> Result<Transitioned, InventoryError>;
        async fn extend(&self, request: &ExtendRequest) -> Result<Transitioned, InventoryError>;
        async fn expire(&self, ids: &[ReservationId]) -> Result<Vec<Result<Expiry, InventoryError>>, InventoryError>;
        async fn expire_overdue(
            &self,
            limit: NonZeroUsize,
        ) -> Result<Sweep, InventoryError>;
        async fn adjust(&self, adjustments: &[Adjustment]) -> Result<Vec<Result<Adjusted, InventoryError>>, InventoryError>;
        async fn reservation(&self, id: &ReservationId) -> Result<Reservation, InventoryError>;
        async fn movements<'a, 'b, 'c>(
            &'a self,
            sku: &'b Sku,
            after: Option<&'c Cursor>,
            limit: NonZeroUsize,
        ) -> Result<MovementPage, InventoryError>;
    }
}
