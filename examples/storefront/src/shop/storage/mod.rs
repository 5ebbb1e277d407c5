//! Where products and stock are kept: the one choice that decides what outlives the process.
//!
//! The cache of stock and the timers are in memory whatever is chosen: they are filled again from
//! what is kept.

mod memory;
mod postgres;

use std::sync::Arc;

use stockade_catalog_core::CatalogStore;
use stockade_change_feed::{Feed, Publisher};
use stockade_inventory_core::{InventoryStore, StockOutbox, StockRetention};

pub(super) use self::postgres::Capture;

/// What a shop keeps, and the log that its readers hear of it by.
pub(super) struct Storage {
    pub(super) catalog: Arc<dyn CatalogStore>,
    pub(super) inventory: Arc<dyn InventoryStore>,
    pub(super) outbox: Arc<dyn StockOutbox>,
    pub(super) retention: Arc<dyn StockRetention>,
    /// Rows of the catalogue, stock events, and dead letters.
    pub(super) feed: Arc<dyn Feed>,
    pub(super) publisher: Arc<dyn Publisher>,
    pub(super) lifetime: Lifetime,
}

/// How long what was stored is there.
pub(super) enum Lifetime {
    /// As long as the process.
    Process,
    /// Longer. Rows reach the log by this capture.
    Beyond(Box<Capture>),
}
