//! An outbox and timers in front of those in memory, that break one rule each.

use std::collections::HashSet;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use stockade_inventory_core::memory::{MemoryInventory, MemoryTimer};
use stockade_inventory_core::{
    Cursor, InventoryError, OutboxPage, ReservationId, ReservationTimer, Sku, StockOutbox,
    StockSource, Version,
};

/// Marks a SKU as published, whatever the version.
pub(crate) struct ForgetsVersions(pub(crate) MemoryInventory);

#[async_trait]
impl StockOutbox for ForgetsVersions {
    async fn unpublished(
        &self,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<OutboxPage, InventoryError> {
        self.0.unpublished(after, limit).await
    }

    async fn mark_published(&self, published: &[(Sku, Version)]) -> Result<(), InventoryError> {
        // Between reading a page and marking it, stock changes.
        tokio::time::sleep(Duration::from_millis(10)).await;
        let skus: Vec<Sku> = published.iter().map(|(sku, _)| sku.clone()).collect();
        let stock = self.0.stock(&skus).await?;
        let newest = stock
            .iter()
            .flatten()
            .map(|s| (s.sku().clone(), s.version()));
        self.0.mark_published(&newest.collect::<Vec<_>>()).await
    }
}

/// Keeps the first timer when one is armed again.
pub(crate) struct KeepsTheFirst {
    timer: MemoryTimer,
    armed: Mutex<HashSet<ReservationId>>,
}

impl KeepsTheFirst {
    pub(crate) fn new(timer: MemoryTimer) -> Self {
        let armed = Mutex::default();
        Self { timer, armed }
    }
}

#[async_trait]
impl ReservationTimer for KeepsTheFirst {
    async fn arm(&self, timers: &[(ReservationId, Duration)]) -> Result<(), InventoryError> {
        let mut new = timers.to_vec();
        new.retain(|(id, _)| self.armed.lock().unwrap().insert(id.clone()));
        self.timer.arm(&new).await
    }

    async fn disarm(&self, ids: &[ReservationId]) -> Result<(), InventoryError> {
        self.armed.lock().unwrap().retain(|id| !ids.contains(id));
        self.timer.disarm(ids).await
    }

    async fn due(
        &self,
        limit: usize,
        wait: Duration,
    ) -> Result<Vec<ReservationId>, InventoryError> {
        let due = self.timer.due(limit, wait).await?;
        self.armed.lock().unwrap().retain(|id| !due.contains(id));
        Ok(due)
    }
}
