//! Where products and stock are kept: the one choice that decides what outlives the process.
//!
//! The cache of stock, the timers and the log of stock events are in memory whatever is chosen:
//! they are filled again from what is kept.

mod memory;

use std::sync::Arc;

use stockade_catalog_core::CatalogStore;
use stockade_change_feed::{Feed, Topic};
use stockade_inventory_core::{InventoryStore, StockOutbox, StockRetention};

/// What a shop keeps, and where its search hears of it.
pub(super) struct Storage {
    pub(super) catalog: Arc<dyn CatalogStore>,
    pub(super) inventory: Arc<dyn InventoryStore>,
    pub(super) outbox: Arc<dyn StockOutbox>,
    pub(super) retention: Arc<dyn StockRetention>,
    /// Changes of the catalogue's rows.
    pub(super) rows: Arc<dyn Feed>,
    /// The topics that they are in.
    pub(super) row_topics: Vec<Topic>,
    pub(super) lifetime: Lifetime,
}

/// How long what was stored is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lifetime {
    /// As long as the process.
    Process,
}
