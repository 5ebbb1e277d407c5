//! A store built on the book, as an adapter is, that can be told to break one rule.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use stockade_change_feed::{Clock, Timestamp};
use stockade_inventory_core::book::{Book, Changed, Changes, LocationPriority};
use stockade_inventory_core::{
    Adjusted, Adjustment, Cursor, Expiry, ExtendRequest, InventoryError, InventoryStore,
    LocationId, Movement, MovementCause, MovementPage, OperationId, Reservation, ReservationId,
    ReservationState, ReserveRequest, Reserved, Sku, SkuStock, StockLevel, StockPage, StockSource,
    TransitionRequest, Transitioned,
};

/// The rule that a store breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// It keeps all of them.
    None,
    /// Decides on rows that others change before it writes.
    OversellsUnderConcurrency,
    /// Does not look for the id of a request.
    ForgetsIds,
    /// Looks at the stock first, and for the id only where there is enough.
    RefusesTheWinner,
    /// Expires what has expired.
    CompensatesTwice,
    /// Goes by the first deadline.
    ExpiresTheExtended,
    /// Does not look for the id of an adjustment.
    ReceivesTwice,
    /// Purges what is confirmed.
    PurgesTheConfirmed,
    /// Purges by the age of the grant.
    PurgesByTheGrant,
    /// Removes old movements, and leaves nothing in their place.
    LeavesNoBalance,
    /// An opening balance of the physical count alone.
    ForgetsThePromised,
    /// One opening balance for all locations.
    MixesLocations,
    /// Purges all there is.
    IgnoresTheLimit,
    /// A purge moves what a cursor names.
    MovesCursors,
}

#[derive(Default)]
pub(crate) struct Rows {
    levels: BTreeMap<Sku, BTreeMap<LocationId, StockLevel>>,
    pub(crate) reservations: BTreeMap<ReservationId, Reservation>,
    first_deadlines: HashMap<ReservationId, Timestamp>,
    /// By their place in the listing.
    pub(crate) movements: BTreeMap<u64, Movement>,
}

pub(crate) struct FlawedStore {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) flaw: Flaw,
    rows: Mutex<Rows>,
}

impl Rows {
    /// A book of everything; small stores can afford it.
    fn book(&self, now: Timestamp) -> Book {
        let mut book = Book::new(now, 0, LocationPriority::default());
        self.levels
            .values()
            .flat_map(BTreeMap::values)
            .for_each(|l| book.load_level(l.clone()));
        for reservation in self.reservations.values() {
            book.load_reservation(reservation.clone());
        }
        book
    }

    fn load_operations(&self, book: &mut Book) {
        for movement in self.movements.values() {
            if let MovementCause::Adjusted { operation, .. } = &movement.cause {
                book.load_operation(OperationId::clone(operation), movement.clone());
            }
        }
    }

    fn without_ids(&self, now: Timestamp) -> Book {
        let mut book = Book::new(now, 0, LocationPriority::default());
        self.levels
            .values()
            .flat_map(BTreeMap::values)
            .for_each(|l| book.load_level(l.clone()));
        book
    }

    fn write(&mut self, changes: Changes) {
        let Changes {
            levels,
            reservations,
            movements,
        } = changes;
        for Changed { after: level, .. } in levels {
            let at = self.levels.entry(level.sku.clone()).or_default();
            at.insert(level.location.clone(), level);
        }
        for Changed {
            after: reservation, ..
        } in reservations
        {
            let id = reservation.id.clone();
            self.first_deadlines
                .entry(id.clone())
                .or_insert(reservation.deadline);
            self.reservations.insert(id, reservation);
        }
        for movement in movements {
            let place = self.end();
            self.movements.insert(place, movement);
        }
    }
}

impl Rows {
    /// The place of the next movement.
    pub(crate) fn end(&self) -> u64 {
        self.movements.keys().next_back().map_or(0, |last| last + 1)
    }
}

impl FlawedStore {
    pub(crate) fn new(clock: Arc<dyn Clock>, flaw: Flaw) -> Self {
        let rows = Mutex::default();
        Self { clock, flaw, rows }
    }

    pub(crate) fn rows(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap()
    }

    fn decide<T>(&self, decide: impl FnOnce(&mut Book) -> T) -> T {
        let mut rows = self.rows();
        let mut book = rows.book(self.clock.now());
        let outcome = decide(&mut book);
        rows.write(book.into_changes());
        outcome
    }

    /// A reservation as the flaw has it when it should expire.
    fn as_expiry_sees_it(&self, rows: &Rows, mut reservation: Reservation) -> Reservation {
        match self.flaw {
            Flaw::CompensatesTwice if reservation.state == ReservationState::Expired => {
                reservation.state = ReservationState::Held;
            }
            Flaw::ExpiresTheExtended => {
                reservation.deadline = rows.first_deadlines[&reservation.id];
            }
            _ => {}
        }
        reservation
    }

    fn expire_one(&self, rows: &mut Rows, id: &ReservationId) -> Result<Expiry, InventoryError> {
        let mut book = rows.without_ids(self.clock.now());
        if let Some(reservation) = rows.reservations.get(id) {
            book.load_reservation(self.as_expiry_sees_it(rows, reservation.clone()));
        }
        let expiry = book.expire(id);
        rows.write(book.into_changes());
        expiry
    }

    async fn reserve_unlocked(&self, request: &ReserveRequest) -> Result<Reserved, InventoryError> {
        let mut book = self.rows().book(self.clock.now());
        tokio::time::sleep(Duration::from_millis(5)).await;
        let reserved = book.reserve(request);
        self.rows().write(book.into_changes());
        reserved
    }

    fn reserve_one(&self, request: &ReserveRequest) -> Result<Reserved, InventoryError> {
        match self.flaw {
            Flaw::ForgetsIds => {
                let mut rows = self.rows();
                let mut book = rows.without_ids(self.clock.now());
                let reserved = book.reserve(request);
                rows.write(book.into_changes());
                reserved
            }
            Flaw::RefusesTheWinner => {
                let mut fresh = self.rows().without_ids(self.clock.now());
                if let Err(short @ InventoryError::Insufficient { .. }) = fresh.reserve(request) {
                    return Err(short);
                }
                self.decide(|book| book.reserve(request))
            }
            _ => self.decide(|book| book.reserve(request)),
        }
    }
}

#[async_trait]
impl StockSource for FlawedStore {
    async fn stock(&self, skus: &[Sku]) -> Result<Vec<Option<SkuStock>>, InventoryError> {
        let rows = self.rows();
        skus.iter()
            .map(|sku| {
                let levels = rows.levels.get(sku);
                levels
                    .map(|levels| SkuStock::new(levels.values().cloned().collect()))
                    .transpose()
            })
            .collect()
    }

    async fn scan(
        &self,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<StockPage, InventoryError> {
        let rows = self.rows();
        let following = rows
            .levels
            .iter()
            .filter(|(sku, _)| after.is_none_or(|last| sku.as_str() > last.0.as_str()));
        let page = following
            .take(limit)
            .map(|(_, levels)| SkuStock::new(levels.values().cloned().collect()))
            .collect::<Result<Vec<_>, _>>()?;
        let full = page.len() == limit;
        let next = page
            .last()
            .filter(|_| full)
            .map(|last| Cursor(last.sku().to_string()));
        Ok(StockPage::new(page, next))
    }
}

#[async_trait]
impl InventoryStore for FlawedStore {
    async fn reserve(
        &self,
        requests: &[ReserveRequest],
    ) -> Result<Vec<Result<Reserved, InventoryError>>, InventoryError> {
        let mut outcomes = Vec::with_capacity(requests.len());
        for request in requests {
            outcomes.push(if self.flaw == Flaw::OversellsUnderConcurrency {
                self.reserve_unlocked(request).await
            } else {
                self.reserve_one(request)
            });
        }
        Ok(outcomes)
    }

    async fn transition(
        &self,
        request: &TransitionRequest,
    ) -> Result<Transitioned, InventoryError> {
        self.decide(|book| book.transition(request))
    }

    async fn extend(&self, request: &ExtendRequest) -> Result<Transitioned, InventoryError> {
        self.decide(|book| book.extend(request))
    }

    async fn expire(
        &self,
        ids: &[ReservationId],
    ) -> Result<Vec<Result<Expiry, InventoryError>>, InventoryError> {
        let mut rows = self.rows();
        let ids = ids.iter();
        Ok(ids.map(|id| self.expire_one(&mut rows, id)).collect())
    }

    async fn expire_overdue(
        &self,
        limit: usize,
    ) -> Result<Vec<Result<Reservation, InventoryError>>, InventoryError> {
        let now = self.clock.now();
        let mut rows = self.rows();
        let held = rows
            .reservations
            .values()
            .filter(|r| r.state == ReservationState::Held);
        let mut overdue: Vec<Reservation> = held
            .map(|reservation| self.as_expiry_sees_it(&rows, reservation.clone()))
            .filter(|reservation| reservation.is_overdue(now))
            .collect();
        overdue.sort_by_key(|reservation| reservation.deadline);
        overdue.truncate(limit);
        let mut expired = Vec::new();
        for reservation in overdue {
            if let Expiry::Expired(reservation) = self.expire_one(&mut rows, &reservation.id)? {
                expired.push(Ok(reservation));
            }
        }
        Ok(expired)
    }

    async fn adjust(
        &self,
        adjustments: &[Adjustment],
    ) -> Result<Vec<Result<Adjusted, InventoryError>>, InventoryError> {
        let mut outcomes = Vec::with_capacity(adjustments.len());
        for adjustment in adjustments {
            let mut rows = self.rows();
            let mut book = rows.book(self.clock.now());
            if self.flaw != Flaw::ReceivesTwice {
                rows.load_operations(&mut book);
            }
            outcomes.push(book.adjust(adjustment));
            rows.write(book.into_changes());
        }
        Ok(outcomes)
    }

    async fn reservation(&self, id: &ReservationId) -> Result<Reservation, InventoryError> {
        let unknown = || InventoryError::UnknownReservation { id: id.clone() };
        self.rows()
            .reservations
            .get(id)
            .cloned()
            .ok_or_else(unknown)
    }

    async fn movements(
        &self,
        sku: &Sku,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<MovementPage, InventoryError> {
        let rows = self.rows();
        let place = |cursor: &Cursor| {
            let place = cursor.0.parse().ok().filter(|place| *place <= rows.end());
            place.ok_or_else(|| {
                let reason = "it has to come from a page before";
                InventoryError::invalid("cursor", &cursor.0, reason)
            })
        };
        let start = after.map_or(Ok(0), place)?;
        let mut rest = rows
            .movements
            .range(start..)
            .filter(|(_, movement)| movement.sku == *sku);
        let page = rest.by_ref().take(limit).map(|(_, movement)| movement);
        let page = page.cloned().collect();
        let next = rest.next().map(|(place, _)| Cursor(place.to_string()));
        Ok(MovementPage::new(page, next))
    }
}
