//! The store in memory.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use stockade_change_feed::Clock;

use crate::book::{Book, LocationPriority};
use crate::error::InventoryError;
use crate::events::StockChanged;
use crate::memory::ledger::Ledger;
use crate::model::{
    Adjusted, Adjustment, Expiry, ExtendRequest, Purged, Reservation, ReservationId,
    ReserveRequest, Reserved, Rest, Sku, SkuStock, Sweep, TransitionRequest, Transitioned, Version,
};
use crate::store::{
    Cursor, InventoryStore, MovementPage, OutboxPage, StockOutbox, StockPage, StockRetention,
    StockSource,
};

/// A store in memory. Clones share its rows.
///
/// It keeps every rule of the traits. Its rows end with the process. One lock makes every call
/// atomic. Reservations, movements and ids stay until they are purged.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), stockade_inventory_core::InventoryError> {
/// use std::sync::Arc;
/// use stockade_change_feed::SystemClock;
/// use stockade_inventory_core::memory::MemoryInventory;
/// use stockade_inventory_core::{Sku, StockSource};
///
/// let store = MemoryInventory::new(Arc::new(SystemClock::new()));
/// assert_eq!(store.stock(&[Sku::new("tee-m")?]).await?, [None]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct MemoryInventory {
    clock: Arc<dyn Clock>,
    ledger: Arc<Mutex<Ledger>>,
}

impl MemoryInventory {
    /// A store without stock, in epoch 0, with this clock.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let ledger = Arc::default();
        Self { clock, ledger }
    }

    /// Takes units from locations in this order, for lines that name no location. Applies to all
    /// clones.
    #[must_use]
    pub fn with_locations(self, priority: LocationPriority) -> Self {
        self.lock().priority = priority;
        self
    }

    /// Raises the epoch, as an operator does after a restore; see [`Version`]. For tests of a host:
    /// a store in memory starts empty and is never restored.
    pub fn raise_epoch(&self) {
        self.lock().raise_epoch();
    }

    fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().expect("no panic while the lock is held")
    }

    /// Loads rows, decides on them, and writes what changed.
    fn decide<T>(
        &self,
        load: impl FnOnce(&Ledger, &mut Book),
        decide: impl FnOnce(&mut Book) -> T,
    ) -> T {
        let mut ledger = self.lock();
        let mut book = ledger.book(self.clock.now());
        load(&ledger, &mut book);
        let outcome = decide(&mut book);
        ledger.write(book.into_changes());
        outcome
    }
}

#[async_trait]
impl StockSource for MemoryInventory {
    async fn stock(&self, skus: &[Sku]) -> Result<Vec<Option<SkuStock>>, InventoryError> {
        let ledger = self.lock();
        Ok(skus.iter().map(|sku| ledger.stock(sku)).collect())
    }

    async fn scan(
        &self,
        after: Option<&Cursor>,
        limit: NonZeroUsize,
    ) -> Result<StockPage, InventoryError> {
        let ledger = self.lock();
        let (page, next) = page(ledger.skus_after(last_sku(after)?.as_ref()), limit);
        let stock = page.into_iter().filter_map(|sku| ledger.stock(sku));
        Ok(StockPage::new(stock.collect(), next))
    }
}

#[async_trait]
impl InventoryStore for MemoryInventory {
    async fn reserve(
        &self,
        requests: &[ReserveRequest],
    ) -> Result<Vec<Result<Reserved, InventoryError>>, InventoryError> {
        let load = |ledger: &Ledger, book: &mut Book| {
            for request in requests {
                ledger.load_reservation(book, &request.id);
                for line in request.lines.as_slice() {
                    ledger.load_sku(book, &line.sku);
                }
            }
        };
        Ok(self.decide(load, |book| {
            let requests = requests.iter();
            requests.map(|request| book.reserve(request)).collect()
        }))
    }

    async fn transition(
        &self,
        request: &TransitionRequest,
    ) -> Result<Transitioned, InventoryError> {
        self.decide(
            |ledger, book| ledger.load_reservation(book, &request.id),
            |book| book.transition(request),
        )
    }

    async fn extend(&self, request: &ExtendRequest) -> Result<Transitioned, InventoryError> {
        self.decide(
            |ledger, book| ledger.load_reservation(book, &request.id),
            |book| book.extend(request),
        )
    }

    async fn expire(
        &self,
        ids: &[ReservationId],
    ) -> Result<Vec<Result<Expiry, InventoryError>>, InventoryError> {
        let load = |ledger: &Ledger, book: &mut Book| {
            for id in ids {
                ledger.load_reservation(book, id);
            }
        };
        Ok(self.decide(load, |book| ids.iter().map(|id| book.expire(id)).collect()))
    }

    async fn expire_overdue(&self, limit: NonZeroUsize) -> Result<Sweep, InventoryError> {
        let mut ledger = self.lock();
        let now = self.clock.now();
        let mut book = ledger.book(now);
        let mut overdue = ledger.overdue(now);
        // No row in memory is damaged, so every outcome is an expiry.
        let mut outcomes = Vec::new();
        for id in overdue.by_ref().take(limit.get()) {
            ledger.load_reservation(&mut book, id);
            match book.expire(id) {
                Ok(Expiry::Expired(reservation)) => outcomes.push(Ok(reservation)),
                Ok(_) => {}
                Err(error) => outcomes.push(Err(error)),
            }
        }
        let rest = Rest::more_if(overdue.next().is_some());
        drop(overdue);
        ledger.write(book.into_changes());
        Ok(Sweep::new(outcomes, rest))
    }

    async fn adjust(
        &self,
        adjustments: &[Adjustment],
    ) -> Result<Vec<Result<Adjusted, InventoryError>>, InventoryError> {
        let load = |ledger: &Ledger, book: &mut Book| {
            for adjustment in adjustments {
                ledger.load_operation(book, &adjustment.operation);
                ledger.load_sku(book, &adjustment.sku);
            }
        };
        Ok(self.decide(load, |book| {
            let adjustments = adjustments.iter();
            adjustments
                .map(|adjustment| book.adjust(adjustment))
                .collect()
        }))
    }

    async fn reservation(&self, id: &ReservationId) -> Result<Reservation, InventoryError> {
        let unknown = || InventoryError::UnknownReservation { id: id.clone() };
        self.lock().reservation(id).cloned().ok_or_else(unknown)
    }

    async fn movements(
        &self,
        sku: &Sku,
        after: Option<&Cursor>,
        limit: NonZeroUsize,
    ) -> Result<MovementPage, InventoryError> {
        let ledger = self.lock();
        let end = ledger.journals.end(sku);
        let start = after.map_or(Ok(0), |cursor| place(cursor, end))?;
        let mut rest = ledger.journals.from(sku, start);
        let page = rest.by_ref().take(limit.get());
        let movements = page.map(|(_, movement)| movement.clone()).collect();
        let next = rest.next().map(|(place, _)| Cursor(place.to_string()));
        Ok(MovementPage::new(movements, next))
    }
}

#[async_trait]
impl StockOutbox for MemoryInventory {
    async fn unpublished(
        &self,
        after: Option<&Cursor>,
        limit: NonZeroUsize,
    ) -> Result<OutboxPage, InventoryError> {
        let ledger = self.lock();
        let complete_as_of = self.clock.now();
        let (page, next) = page(ledger.unpublished_after(last_sku(after)?.as_ref()), limit);
        let change = |sku| {
            let stock = ledger.stock(sku)?;
            Some(StockChanged::from(&stock).with_trace(ledger.trace(sku)))
        };
        let changes = page.into_iter().filter_map(change).collect();
        Ok(OutboxPage::new(changes, ledger.epoch, complete_as_of, next))
    }

    async fn mark_published(&self, published: &[(Sku, Version)]) -> Result<(), InventoryError> {
        let mut ledger = self.lock();
        for (sku, version) in published {
            ledger.mark_published(sku, *version);
        }
        Ok(())
    }
}

#[async_trait]
impl StockRetention for MemoryInventory {
    async fn purge_reservations(
        &self,
        keep: Duration,
        limit: NonZeroUsize,
    ) -> Result<Purged, InventoryError> {
        let until = self.clock.now().minus(keep);
        Ok(self.lock().purge_reservations(until, limit))
    }

    async fn purge_movements(
        &self,
        keep: Duration,
        limit: NonZeroUsize,
    ) -> Result<Purged, InventoryError> {
        let until = self.clock.now().minus(keep);
        Ok(self.lock().journals.purge(until, limit))
    }
}

/// A page of SKUs, and the cursor of the next page: the last SKU of this one.
fn page<'a>(
    mut skus: impl Iterator<Item = &'a Sku>,
    limit: NonZeroUsize,
) -> (Vec<&'a Sku>, Option<Cursor>) {
    let page: Vec<&Sku> = skus.by_ref().take(limit.get()).collect();
    let next = skus
        .next()
        .and(page.last())
        .map(|sku| Cursor(sku.to_string()));
    (page, next)
}

fn last_sku(cursor: Option<&Cursor>) -> Result<Option<Sku>, InventoryError> {
    let strange = |cursor: &Cursor| {
        InventoryError::invalid(
            "cursor",
            &cursor.0,
            "it must come from an earlier page of this listing",
        )
    };
    cursor
        .map(|cursor| Sku::new(&cursor.0).map_err(|_| strange(cursor)))
        .transpose()
}

/// A cursor is the position of the next movement at the time when the cursor was made.
fn place(cursor: &Cursor, end: u64) -> Result<u64, InventoryError> {
    let place = cursor.0.parse().ok();
    place.filter(|place| *place <= end).ok_or_else(|| {
        let reason = "it must come from an earlier page of the movements of this SKU";
        InventoryError::invalid("cursor", &cursor.0, reason)
    })
}
