//! Everything in memory; it is lost when the process ends.

use std::sync::Arc;

use stockade_catalog_core::memory::MemoryCatalog;
use stockade_catalog_core::rows::catalog_changes;
use stockade_change_feed::Clock;
use stockade_change_feed::memory::MemoryFeed;
use stockade_inventory_core::inventory_updates;
use stockade_inventory_core::memory::MemoryInventory;

use super::Storage;

/// Row changes that are kept in each partition. Search is never so far behind, because writers wait
/// for it: see [`Shop::room_for_rows`](crate::Shop::room_for_rows).
const ROWS: usize = 10_000;
/// Stock events that are kept in each partition for readers that fall behind.
const EVENTS: usize = 20_000;

impl Storage {
    pub(in super::super) fn memory(clock: &Arc<dyn Clock>) -> Self {
        let feed = MemoryFeed::new(clock.clone());
        feed.retain(&catalog_changes(), ROWS);
        feed.retain(&inventory_updates(), EVENTS);
        let inventory = Arc::new(MemoryInventory::new(clock.clone()));
        Self {
            catalog: Arc::new(MemoryCatalog::new().publishing_to(feed.clone(), catalog_changes())),
            outbox: inventory.clone(),
            retention: inventory.clone(),
            inventory,
            publisher: Arc::new(feed.clone()),
            feed: Arc::new(feed),
            capture: None,
        }
    }
}
