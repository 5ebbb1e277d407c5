//! The calls of inventory for pages.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use stockade_change_feed::coalesce::BatchCall;
use stockade_inventory_core::{InventoryError, Sku, StockChanged, StockSource};

/// The stock of each requested SKU; `None` for one that inventory does not know.
pub(crate) type Answers = HashMap<Sku, Option<StockChanged>>;

/// Asks inventory for the stock of many SKUs.
pub(crate) struct StockCall(pub(crate) Arc<dyn StockSource>);

#[async_trait]
impl BatchCall for StockCall {
    type Item = Sku;
    type Output = Option<StockChanged>;
    type Error = InventoryError;
    type Key = Sku;

    fn key(&self, sku: &Sku) -> Option<Sku> {
        Some(sku.clone())
    }

    async fn call(
        &self,
        skus: Vec<Sku>,
    ) -> Result<Vec<Result<Option<StockChanged>, InventoryError>>, InventoryError> {
        let stock = self.0.stock(&skus).await?.into_iter();
        Ok(stock
            .map(|stock| Ok(stock.as_ref().map(StockChanged::from)))
            .collect())
    }

    fn busy(&self, retry_after: Duration) -> InventoryError {
        InventoryError::Busy { retry_after }
    }
}
