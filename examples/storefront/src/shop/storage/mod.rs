//! Where products and stock are kept: in memory or in Postgres.
//!
//! The cache of stock and the timers are not here: they are filled again from the store.

mod memory;
mod postgres;

use std::sync::Arc;

use stockade_catalog_core::CatalogStore;
use stockade_change_feed::{Feed, Publisher};
use stockade_inventory_core::{InventoryStore, StockOutbox, StockRetention};

pub(crate) use self::postgres::Capture;

/// The stores of a shop, and the log of their changes.
pub(super) struct Storage {
    pub(super) catalog: Arc<dyn CatalogStore>,
    pub(super) inventory: Arc<dyn InventoryStore>,
    pub(super) outbox: Arc<dyn StockOutbox>,
    pub(super) retention: Arc<dyn StockRetention>,
    /// Rows of the catalogue, stock events unless they are in Kafka, and dead letters.
    pub(super) feed: Arc<dyn Feed>,
    pub(super) publisher: Arc<dyn Publisher>,
    /// Copies rows to the log; none if the catalogue does it, because it is in memory.
    pub(super) capture: Option<Capture>,
}
