//! A store whose replies get lost.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use stockade_change_feed::Failure;
use stockade_inventory_core::{
    Adjusted, Adjustment, Cursor, Expiry, ExtendRequest, InventoryError, InventoryStore,
    MovementPage, Reservation, ReservationId, ReserveRequest, Reserved, Sku, SkuStock, StockPage,
    StockSource, Sweep, TransitionRequest, Transitioned,
};

/// A store that loses replies of another store. A number of writes take effect and then fail with
/// [`Retry::OutcomeUnknown`](stockade_change_feed::Retry::OutcomeUnknown), as when a connection
/// breaks after the commit.
pub struct ReplyLost {
    store: Arc<dyn InventoryStore>,
    to_lose: AtomicUsize,
}

impl std::fmt::Debug for ReplyLost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReplyLost")
            .field("to_lose", &self.to_lose)
            .finish_non_exhaustive()
    }
}

impl ReplyLost {
    /// Loses no replies until [`lose`](Self::lose) is called.
    #[must_use]
    pub fn new(store: Arc<dyn InventoryStore>) -> Self {
        Self {
            store,
            to_lose: AtomicUsize::new(0),
        }
    }

    /// Loses the replies to the next `writes` writing calls.
    pub fn lose(&self, writes: usize) {
        self.to_lose.store(writes, Ordering::SeqCst);
    }

    fn lost(&self) -> bool {
        let less = |left: usize| left.checked_sub(1);
        self.to_lose
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, less)
            .is_ok()
    }

    fn answer<T>(
        &self,
        operation: &'static str,
        outcome: Result<T, InventoryError>,
    ) -> Result<T, InventoryError> {
        if self.lost() {
            Err(unknown(operation))
        } else {
            outcome
        }
    }
}

fn unknown(operation: &'static str) -> InventoryError {
    Failure::outcome_unknown(operation, "the reply was lost on purpose").into()
}

#[async_trait]
impl StockSource for ReplyLost {
    async fn stock(&self, skus: &[Sku]) -> Result<Vec<Option<SkuStock>>, InventoryError> {
        self.store.stock(skus).await
    }

    async fn scan(
        &self,
        after: Option<&Cursor>,
        limit: NonZeroUsize,
    ) -> Result<StockPage, InventoryError> {
        self.store.scan(after, limit).await
    }
}

#[async_trait]
impl InventoryStore for ReplyLost {
    async fn reserve(
        &self,
        requests: &[ReserveRequest],
    ) -> Result<Vec<Result<Reserved, InventoryError>>, InventoryError> {
        self.answer("reserve", self.store.reserve(requests).await)
    }

    async fn transition(
        &self,
        request: &TransitionRequest,
    ) -> Result<Transitioned, InventoryError> {
        self.answer("transition", self.store.transition(request).await)
    }

    async fn extend(&self, request: &ExtendRequest) -> Result<Transitioned, InventoryError> {
        self.answer("extend", self.store.extend(request).await)
    }

    async fn expire(
        &self,
        ids: &[ReservationId],
    ) -> Result<Vec<Result<Expiry, InventoryError>>, InventoryError> {
        self.answer("expire", self.store.expire(ids).await)
    }

    async fn expire_overdue(&self, limit: NonZeroUsize) -> Result<Sweep, InventoryError> {
        self.answer("expire_overdue", self.store.expire_overdue(limit).await)
    }

    async fn adjust(
        &self,
        adjustments: &[Adjustment],
    ) -> Result<Vec<Result<Adjusted, InventoryError>>, InventoryError> {
        self.answer("adjust", self.store.adjust(adjustments).await)
    }

    async fn reservation(&self, id: &ReservationId) -> Result<Reservation, InventoryError> {
        self.store.reservation(id).await
    }

    async fn movements(
        &self,
        sku: &Sku,
        after: Option<&Cursor>,
        limit: NonZeroUsize,
    ) -> Result<MovementPage, InventoryError> {
        self.store.movements(sku, after, limit).await
    }
}
