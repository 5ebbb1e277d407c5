//! The network between inventory and its clients, which can be cut.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use stockade_change_feed::Failure;
use stockade_inventory_core::{
    Cursor, InventoryError, InventoryStore, OutboxPage, Sku, SkuStock, StockOutbox, StockPage,
    StockSource, Version,
};

/// The connection from pages and the relay to inventory.
pub(super) struct Network {
    inventory: Arc<dyn InventoryStore>,
    outbox: Arc<dyn StockOutbox>,
    cut: Cut,
}

/// Cuts the connection from pages to inventory, and restores it. Clones share one state.
#[derive(Clone, Debug, Default)]
pub struct Cut(Arc<AtomicBool>);

impl Cut {
    /// Makes inventory unreachable.
    pub fn cut(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Makes inventory reachable again.
    pub fn mend(&self) {
        self.0.store(false, Ordering::Relaxed);
    }

    /// Whether the connection is cut.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn check(&self, operation: &'static str) -> Result<(), InventoryError> {
        if !self.is_cut() {
            return Ok(());
        }
        let retry_after = Duration::from_secs(1);
        Err(Failure::unavailable(operation, retry_after, "the network is cut").into())
    }
}

impl Network {
    pub(super) fn new(
        inventory: Arc<dyn InventoryStore>,
        outbox: Arc<dyn StockOutbox>,
        cut: Cut,
    ) -> Self {
        Self {
            inventory,
            outbox,
            cut,
        }
    }
}

#[async_trait]
impl StockSource for Network {
    async fn stock(&self, skus: &[Sku]) -> Result<Vec<Option<SkuStock>>, InventoryError> {
        self.cut.check("stock")?;
        self.inventory.stock(skus).await
    }

    async fn scan(
        &self,
        after: Option<&Cursor>,
        limit: NonZeroUsize,
    ) -> Result<StockPage, InventoryError> {
        self.cut.check("scan")?;
        self.inventory.scan(after, limit).await
    }
}

#[async_trait]
impl StockOutbox for Network {
    async fn unpublished(
        &self,
        after: Option<&Cursor>,
        limit: NonZeroUsize,
    ) -> Result<OutboxPage, InventoryError> {
        self.cut.check("unpublished")?;
        self.outbox.unpublished(after, limit).await
    }

    async fn mark_published(&self, published: &[(Sku, Version)]) -> Result<(), InventoryError> {
        self.cut.check("mark_published")?;
        self.outbox.mark_published(published).await
    }
}
