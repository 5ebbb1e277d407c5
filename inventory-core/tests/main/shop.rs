//! A shop in memory, on a clock that stands.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use stockade_change_feed::{Clock, ManualClock, Timestamp};
use stockade_inventory_core::memory::{MemoryInventory, MemoryTimer};
use stockade_inventory_core::*;

pub(crate) struct Shop {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) store: MemoryInventory,
    pub(crate) timer: MemoryTimer,
}

pub(crate) fn sku(name: &str) -> Sku {
    Sku::new(name).unwrap()
}

pub(crate) fn id(name: &str) -> ReservationId {
    ReservationId::new(name).unwrap()
}

/// A limit of a call.
pub(crate) fn at_most(n: usize) -> NonZeroUsize {
    NonZeroUsize::new(n).unwrap()
}

pub(crate) fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub(crate) fn set(operation: &str, name: &str, units: u64) -> Adjustment {
    let operation = OperationId::new(operation).unwrap();
    let reason = Reason::new("counted").unwrap();
    Adjustment::new(operation, sku(name), StockChange::Set(units), reason)
}

/// For Ann, for ten seconds.
pub(crate) fn request(reservation: &str, name: &str, units: u64) -> ReserveRequest {
    let line = Line::new(sku(name), Quantity::new(units).unwrap());
    let owner = OwnerId::new("ann").unwrap();
    let lines = Lines::new([line]).unwrap();
    let ttl = Ttl::new(seconds(10)).unwrap();
    ReserveRequest::new(id(reservation), owner, lines).with_ttl(ttl)
}

pub(crate) fn step(reservation: &str, transition: Transition) -> TransitionRequest {
    TransitionRequest {
        id: id(reservation),
        transition,
        acting_for: ActingFor::Anyone,
    }
}

impl Shop {
    /// With so many units of each SKU.
    pub(crate) async fn with(stock: &[(&str, u64)]) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_764_000_000_000)));
        let store = MemoryInventory::new(clock.clone());
        let timer = MemoryTimer::new(clock.clone());
        let shop = Self {
            clock,
            store,
            timer,
        };
        for (name, units) in stock {
            shop.set(&format!("first-{name}"), name, *units).await;
        }
        shop
    }

    pub(crate) async fn set(&self, operation: &str, name: &str, units: u64) {
        let set = [set(operation, name, units)];
        self.store.adjust(&set).await.unwrap().remove(0).unwrap();
    }

    pub(crate) async fn reserve(&self, reservation: &str, name: &str, units: u64) -> Reserved {
        let requests = [request(reservation, name, units)];
        self.store
            .reserve(&requests)
            .await
            .unwrap()
            .remove(0)
            .unwrap()
    }

    /// Physical and reserved units.
    pub(crate) async fn counts(&self, name: &str) -> (u64, u64) {
        let stock = self
            .store
            .stock(&[sku(name)])
            .await
            .unwrap()
            .remove(0)
            .unwrap();
        (stock.physical(), stock.reserved())
    }

    pub(crate) async fn state(&self, reservation: &str) -> ReservationState {
        self.store
            .reservation(&id(reservation))
            .await
            .unwrap()
            .state
    }

    pub(crate) async fn causes(&self, name: &str) -> Vec<MovementCause> {
        let page = self
            .store
            .movements(&sku(name), None, at_most(1000))
            .await
            .unwrap();
        page.movements
            .into_iter()
            .map(|movement| movement.cause)
            .collect()
    }

    pub(crate) fn inventory(&self, store: Arc<dyn InventoryStore>) -> Inventory {
        Inventory::new(store)
            .with_timer(Arc::new(self.timer.clone()))
            .with_clock(self.clock.clone())
    }

    /// Lets time pass in small steps until the condition holds, which it has to within an hour.
    pub(crate) async fn pass_time_until<F: Future<Output = bool>>(
        &self,
        condition: impl Fn() -> F,
    ) {
        for _ in 0..3600 * 4 {
            if condition().await {
                return;
            }
            self.clock.advance(Duration::from_millis(250));
            // The workers run on this thread: each gets its turn before the next step.
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
        }
        panic!("an hour went by, it is {:?}", self.clock.now());
    }

    pub(crate) async fn pass_time(&self, duration: Duration) {
        let until = self.clock.monotonic() + duration;
        self.pass_time_until(|| async { self.clock.monotonic() >= until })
            .await;
    }
}
