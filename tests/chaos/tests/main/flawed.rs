//! Stores that break one promise each.

use std::num::NonZeroUsize;

use async_trait::async_trait;
use stockade_inventory_core::memory::MemoryInventory;
use stockade_inventory_core::{
    Adjusted, Adjustment, Cursor, Expiry, ExtendRequest, InventoryError, InventoryStore, Lines,
    MovementPage, OutboxPage, Reservation, ReservationId, ReserveRequest, Reserved, Sku, SkuStock,
    StockOutbox, StockPage, StockSource, Sweep, Transition, TransitionRequest, Transitioned,
    Version,
};

/// What is wrong with a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    None,
    /// Acknowledges some reservations and undoes them.
    ForgetsReservations,
    /// Refuses some that it grants.
    RefusesWhatItGrants,
    /// Grants the first of several lines only.
    GrantsAPart,
    /// Reserves a second time under another id.
    ReservesTwice,
    /// Acknowledges deliveries twice as large.
    ReceivesTwice,
    /// Acknowledges confirmations and makes none.
    ForgetsToConfirm,
    /// Writes no movement for what is released.
    LosesMovements,
    /// Tells stock that is not there.
    MiscountsStock,
    /// Never hands out one SKU for publishing.
    SkipsTheOutbox,
    /// Publishes one unit too many.
    PublishesLies,
}

#[derive(Debug)]
pub(crate) struct Flawed {
    pub(crate) inner: MemoryInventory,
    pub(crate) flaw: Flaw,
}

/// Every fourth or so, by its id.
fn some(id: &ReservationId) -> bool {
    id.as_str().bytes().map(usize::from).sum::<usize>() % 4 == 0
}

impl Flawed {
    async fn reserve_one(&self, request: &ReserveRequest) -> Result<Reserved, InventoryError> {
        let mut request = request.clone();
        match self.flaw {
            Flaw::GrantsAPart => {
                let first = request.lines.as_slice()[0].clone();
                request.lines = Lines::new([first])?;
            }
            Flaw::ReservesTwice => {
                let mut second = request.clone();
                second.id = ReservationId::new(format!("{}-again", request.id))?;
                let _ = self.inner.reserve(&[second]).await;
            }
            _ => {}
        }
        let mut copy = request.clone();
        if self.flaw == Flaw::ForgetsReservations && some(&request.id) {
            copy.id = ReservationId::random();
        }
        let mut reserved = self.inner.reserve(&[copy]).await?.remove(0)?;
        reserved.reservation.id = request.id.clone();
        if self.flaw == Flaw::RefusesWhatItGrants && some(&request.id) {
            let shortages = Vec::new();
            return Err(InventoryError::Insufficient { shortages });
        }
        Ok(reserved)
    }
}

#[async_trait]
impl InventoryStore for Flawed {
    async fn reserve(
        &self,
        requests: &[ReserveRequest],
    ) -> Result<Vec<Result<Reserved, InventoryError>>, InventoryError> {
        let mut outcomes = Vec::new();
        for request in requests {
            outcomes.push(self.reserve_one(request).await);
        }
        Ok(outcomes)
    }

    async fn transition(
        &self,
        request: &TransitionRequest,
    ) -> Result<Transitioned, InventoryError> {
        let confirming = request.transition == Transition::Confirm;
        if self.flaw == Flaw::ForgetsToConfirm && confirming {
            let found = self.inner.reservation(&request.id).await?;
            let now = found.changed_at;
            let effect = stockade_inventory_core::Effect::Applied;
            return Ok(Transitioned::new(found, effect, now));
        }
        self.inner.transition(request).await
    }

    async fn extend(&self, request: &ExtendRequest) -> Result<Transitioned, InventoryError> {
        self.inner.extend(request).await
    }

    async fn expire(
        &self,
        ids: &[ReservationId],
    ) -> Result<Vec<Result<Expiry, InventoryError>>, InventoryError> {
        self.inner.expire(ids).await
    }

    async fn expire_overdue(&self, limit: NonZeroUsize) -> Result<Sweep, InventoryError> {
        self.inner.expire_overdue(limit).await
    }

    async fn adjust(
        &self,
        adjustments: &[Adjustment],
    ) -> Result<Vec<Result<Adjusted, InventoryError>>, InventoryError> {
        if self.flaw == Flaw::ReceivesTwice {
            for adjustment in adjustments {
                let mut second = adjustment.clone();
                let id = format!("{}-again", adjustment.operation);
                second.operation = stockade_inventory_core::OperationId::new(id).unwrap();
                let _ = self.inner.adjust(&[second]).await;
            }
        }
        self.inner.adjust(adjustments).await
    }

    async fn reservation(&self, id: &ReservationId) -> Result<Reservation, InventoryError> {
        self.inner.reservation(id).await
    }

    async fn movements(
        &self,
        sku: &Sku,
        after: Option<&Cursor>,
        limit: NonZeroUsize,
    ) -> Result<MovementPage, InventoryError> {
        use stockade_inventory_core::MovementCause::Released;
        let mut page = self.inner.movements(sku, after, limit).await?;
        if self.flaw == Flaw::LosesMovements {
            page.movements.retain(|it| !matches!(it.cause, Released(_)));
        }
        Ok(page)
    }
}

#[async_trait]
impl StockSource for Flawed {
    async fn stock(&self, skus: &[Sku]) -> Result<Vec<Option<SkuStock>>, InventoryError> {
        let mut stock = self.inner.stock(skus).await?;
        if self.flaw == Flaw::MiscountsStock {
            for it in stock.iter_mut().flatten() {
                let mut levels = it.levels().to_vec();
                let counts = levels[0].counts;
                levels[0].counts = stockade_inventory_core::Counts::new(
                    counts.physical() + 1,
                    counts.reserved(),
                    counts.escrowed(),
                )?;
                *it = SkuStock::new(levels)?;
            }
        }
        Ok(stock)
    }

    async fn scan(
        &self,
        after: Option<&Cursor>,
        limit: NonZeroUsize,
    ) -> Result<StockPage, InventoryError> {
        self.inner.scan(after, limit).await
    }
}

#[async_trait]
impl StockOutbox for Flawed {
    async fn unpublished(
        &self,
        after: Option<&Cursor>,
        limit: NonZeroUsize,
    ) -> Result<OutboxPage, InventoryError> {
        let mut page = self.inner.unpublished(after, limit).await?;
        match self.flaw {
            Flaw::SkipsTheOutbox => page.changes.retain(|it| it.sku.as_str() != "mug"),
            Flaw::PublishesLies => page
                .changes
                .iter_mut()
                .for_each(|it| it.new_stock_count += 1),
            _ => {}
        }
        Ok(page)
    }

    async fn mark_published(&self, published: &[(Sku, Version)]) -> Result<(), InventoryError> {
        self.inner.mark_published(published).await
    }
}
