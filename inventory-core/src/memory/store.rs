//! The store.

use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use stockade_change_feed::{Clock, Timestamp};

use crate::book::{Book, LocationPriority};
use crate::error::InventoryError;
use crate::events::StockChanged;
use crate::ids::{ReservationId, Sku};
use crate::memory::ledger::Ledger;
use crate::reservation::{
    Adjusted, Adjustment, Expiry, ExtendRequest, Reservation, ReserveRequest, Reserved,
    TransitionRequest, Transitioned,
};
use crate::stock::{Movement, SkuStock, Version};
use crate::store::{Cursor, InventoryStore, MovementPage, OutboxPage, StockOutbox, StockSource};

/// Stock and reservations in memory. Clones share them.
///
/// One lock makes every call atomic. Nothing is forgotten while the process runs: ids of
/// reservations and operations, and movements, are kept.
#[derive(Clone, Debug)]
pub struct MemoryInventory {
    clock: Arc<dyn Clock>,
    ledger: Arc<Mutex<Ledger>>,
}

impl MemoryInventory {
    /// A store without stock, in epoch 0.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let ledger = Arc::default();
        Self { clock, ledger }
    }

    /// Tries locations in this order, where a line names none; all clones do from now on.
    #[must_use]
    pub fn with_locations(self, priority: LocationPriority) -> Self {
        self.lock().priority = priority;
        self
    }

    /// Raises the epoch, as an operator does after a restore: every level's version is of the new
    /// epoch from now on, and every SKU is to be published again.
    pub fn raise_epoch(&self) {
        self.lock().raise_epoch();
    }

    fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().expect("no panic while the lock is held")
    }

    /// Decides on loaded rows, and writes what changed.
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
        after: Option<&Sku>,
        limit: usize,
    ) -> Result<Vec<SkuStock>, InventoryError> {
        at_least_one(limit)?;
        let ledger = self.lock();
        let skus = ledger.skus_after(after).take(limit);
        Ok(skus.filter_map(|sku| ledger.stock(sku)).collect())
    }
}

#[async_trait]
impl InventoryStore for MemoryInventory {
    async fn reserve(&self, requests: &[ReserveRequest]) -> Vec<Result<Reserved, InventoryError>> {
        let load = |ledger: &Ledger, book: &mut Book| {
            for request in requests {
                ledger.load_reservation(book, &request.id);
                for line in request.lines.as_slice() {
                    ledger.load_sku(book, &line.sku);
                }
            }
        };
        self.decide(load, |book| {
            let requests = requests.iter();
            requests.map(|request| book.reserve(request)).collect()
        })
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

    async fn expire(&self, ids: &[ReservationId]) -> Vec<Result<Expiry, InventoryError>> {
        let load = |ledger: &Ledger, book: &mut Book| {
            for id in ids {
                ledger.load_reservation(book, id);
            }
        };
        self.decide(load, |book| ids.iter().map(|id| book.expire(id)).collect())
    }

    async fn expire_overdue(&self, limit: usize) -> Result<Vec<Reservation>, InventoryError> {
        at_least_one(limit)?;
        let mut ledger = self.lock();
        let now = self.clock.now();
        let mut book = ledger.book(now);
        let overdue: Vec<_> = ledger.overdue(now).take(limit).cloned().collect();
        let mut expired = Vec::with_capacity(overdue.len());
        for id in &overdue {
            ledger.load_reservation(&mut book, id);
            if let Expiry::Expired(reservation) = book.expire(id)? {
                expired.push(reservation);
            }
        }
        ledger.write(book.into_changes());
        Ok(expired)
    }

    async fn adjust(&self, adjustments: &[Adjustment]) -> Vec<Result<Adjusted, InventoryError>> {
        let load = |ledger: &Ledger, book: &mut Book| {
            for adjustment in adjustments {
                ledger.load_operation(book, &adjustment.operation);
                ledger.load_sku(book, &adjustment.sku);
            }
        };
        self.decide(load, |book| {
            let adjustments = adjustments.iter();
            adjustments
                .map(|adjustment| book.adjust(adjustment))
                .collect()
        })
    }

    async fn reservation(&self, id: &ReservationId) -> Result<Reservation, InventoryError> {
        let unknown = || InventoryError::UnknownReservation { id: id.clone() };
        self.lock().reservation(id).cloned().ok_or_else(unknown)
    }

    async fn movements(
        &self,
        sku: &Sku,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<MovementPage, InventoryError> {
        at_least_one(limit)?;
        let ledger = self.lock();
        let movements = ledger.movements(sku);
        let start = after.map_or(Ok(0), |cursor| place(cursor, movements))?;
        let end = movements.len().min(start.saturating_add(limit));
        let next = (end < movements.len()).then(|| Cursor(end.to_string()));
        Ok(MovementPage::new(movements[start..end].to_vec(), next))
    }
}

#[async_trait]
impl StockOutbox for MemoryInventory {
    async fn unpublished(
        &self,
        after: Option<&Sku>,
        limit: usize,
    ) -> Result<OutboxPage, InventoryError> {
        at_least_one(limit)?;
        let ledger = self.lock();
        let complete_as_of: Timestamp = self.clock.now();
        let mut skus = ledger.unpublished_after(after);
        let page: Vec<&Sku> = skus.by_ref().take(limit).collect();
        let next = skus.next().and(page.last()).map(|sku| (*sku).clone());
        let stock = page.iter().filter_map(|sku| ledger.stock(sku));
        let changes = stock.map(|stock| StockChanged::from(&stock)).collect();
        Ok(OutboxPage::new(changes, complete_as_of, next))
    }

    async fn mark_published(&self, published: &[(Sku, Version)]) -> Result<(), InventoryError> {
        let mut ledger = self.lock();
        for (sku, version) in published {
            ledger.mark_published(sku, *version);
        }
        Ok(())
    }
}

fn at_least_one(limit: usize) -> Result<(), InventoryError> {
    if limit == 0 {
        let reason = "a page has at least one entry";
        return Err(InventoryError::invalid("limit", "0", reason));
    }
    Ok(())
}

/// A cursor is the number of the movement that comes next.
fn place(cursor: &Cursor, movements: &[Movement]) -> Result<usize, InventoryError> {
    let place = cursor.0.parse().ok();
    place
        .filter(|place| *place <= movements.len())
        .ok_or_else(|| {
            let reason = "it has to come from an earlier page of this SKU's movements";
            InventoryError::invalid("cursor", &cursor.0, reason)
        })
}
