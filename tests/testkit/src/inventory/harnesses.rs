//! The harnesses of the suites.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use stockade_inventory_core::{
    InventoryStore, LocationId, Quantity, ReservationId, ReservationTimer, Sku, StockOutbox,
    StockRetention, StockSource,
};

use super::shop::place;
use crate::Harness;

/// Opens stores of stock.
#[async_trait]
pub trait InventoryHarness: Harness {
    /// The store of this instance.
    fn store(&self) -> Arc<dyn InventoryStore>;

    /// Two locations, in the order in which the store tries them for lines that name none. By
    /// default this is the order of their names; override it if the harness's store has other
    /// priorities.
    fn locations(&self) -> [LocationId; 2] {
        ["amsterdam", "berlin"].map(place)
    }
}

/// Opens stores with an outbox.
#[async_trait]
pub trait OutboxHarness: InventoryHarness {
    /// The outbox of the instance's store.
    fn outbox(&self) -> Arc<dyn StockOutbox>;

    /// The largest difference between the clocks that stamp changes, which the store subtracts from
    /// `complete_as_of`. Zero if the store uses one clock, such as that of its server.
    ///
    /// The suite accepts a `complete_as_of` that is earlier by at most this margin. To test that
    /// the margin is enough, give [`store`](InventoryHarness::store) a clock that is behind the
    /// clock of [`outbox`](OutboxHarness::outbox) by the whole margin.
    fn clock_margin(&self) -> Duration {
        Duration::ZERO
    }
}

/// Opens stores that purge old reservations and movements.
#[async_trait]
pub trait StockRetentionHarness: InventoryHarness {
    /// Whether only [`pass_time`](Harness::pass_time) moves the store's clock, so that a row can be
    /// exactly as old as a case wants. Without this, the cases for the exact time pass unseen.
    const EXACT_TIME: bool = false;

    /// The retention of the instance's store.
    fn retention(&self) -> Arc<dyn StockRetention>;
}

/// Opens stores whose epoch can be raised.
#[async_trait]
pub trait EpochHarness: OutboxHarness {
    /// Raises the epoch by one, as an operator does after a restore.
    async fn raise_epoch(&self);
}

/// Opens stores whose rows can be damaged.
#[async_trait]
pub trait DamageHarness: InventoryHarness {
    /// Overwrites the stored row of a held reservation, so that it can not be read any more, but
    /// its deadline is still found.
    async fn damage(&self, reservation: &ReservationId);

    /// Overwrites the stored levels of a SKU, so that no reserved unit can be given back there:
    /// with rows that can not be read, or, if the columns do not allow that, with counts that
    /// contradict the reservations, such as none reserved.
    async fn damage_levels(&self, sku: &Sku);
}

/// Opens stores whose data several processes can open.
#[async_trait]
pub trait SharedHarness: InventoryHarness {
    /// A second store over the same data, as another process would open it: with its own
    /// connections, and sharing no memory with the first.
    async fn second_store(&self) -> Arc<dyn InventoryStore>;
}

/// Opens reservation timers.
#[async_trait]
pub trait TimerHarness: Harness {
    /// The timer of this instance.
    fn timer(&self) -> Arc<dyn ReservationTimer>;
}

/// Opens sources of stock, such as clients of an inventory that runs elsewhere.
#[async_trait]
pub trait SourceHarness: Harness {
    /// The source of this instance.
    fn source(&self) -> Arc<dyn StockSource>;

    /// Receives units in the system behind the source. The change is complete when this returns.
    async fn receive(&self, sku: &Sku, location: &LocationId, quantity: Quantity);

    /// Reserves units, which were received before, in the system behind the source.
    async fn reserve(&self, sku: &Sku, location: &LocationId, quantity: Quantity);
}
