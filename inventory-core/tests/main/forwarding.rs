//! Pointers to a store are stores.

use std::sync::Arc;

use stockade_change_feed::SystemClock;
use stockade_inventory_core::memory::{MemoryInventory, MemoryTimer};
use stockade_inventory_core::*;

use crate::shop::sku;

fn is_whole_store<T: InventoryStore + StockOutbox + StockRetention>(_: &T) {}
fn is_source<T: StockSource>(_: &T) {}
fn is_timer<T: ReservationTimer>(_: &T) {}

/// Fails to compile where a trait is not forwarded by one of the pointers.
#[tokio::test]
async fn pointers_to_a_store_are_stores() {
    let clock = Arc::new(SystemClock::new());
    let store = MemoryInventory::new(clock.clone());
    is_whole_store(&&store);
    is_whole_store(&Box::new(store.clone()));
    is_whole_store(&Arc::new(store.clone()));
    is_whole_store(&Arc::new(Box::new(&store)));

    let timer = MemoryTimer::new(clock);
    is_timer(&&timer);
    is_timer(&Box::new(timer.clone()));
    is_timer(&Arc::new(timer));

    let shared: Arc<dyn InventoryStore> = Arc::new(store.clone());
    is_source(&shared);
    let inventory = Inventory::new(Arc::new(shared));
    assert_eq!(inventory.stock(&[sku("tee")]).await.unwrap(), [None]);
    let outbox: Box<dyn StockOutbox> = Box::new(&store);
    assert!(outbox.mark_published(&[]).await.is_ok());
}
