//! Everything in memory: gone when the process ends.

use std::sync::Arc;

use stockade_catalog_core::memory::MemoryCatalog;
use stockade_catalog_core::rows::catalog_changes;
use stockade_change_feed::Clock;
use stockade_change_feed::memory::MemoryFeed;
use stockade_inventory_core::memory::MemoryInventory;

use super::{Lifetime, Storage};

/// Row changes that are kept in each partition. Writers wait long before search is so far behind:
/// see [`Shop::room_for_rows`](crate::Shop::room_for_rows).
const RETENTION: usize = 10_000;

impl Storage {
    pub(in super::super) fn memory(clock: &Arc<dyn Clock>) -> Self {
        let feed = MemoryFeed::new(clock.clone());
        feed.retain(&catalog_changes(), RETENTION);
        let inventory = Arc::new(MemoryInventory::new(clock.clone()));
        Self {
            catalog: Arc::new(MemoryCatalog::new().publishing_to(feed.clone(), catalog_changes())),
            outbox: inventory.clone(),
            retention: inventory.clone(),
            inventory,
            rows: Arc::new(feed),
            row_topics: vec![catalog_changes()],
            lifetime: Lifetime::Process,
        }
    }
}
