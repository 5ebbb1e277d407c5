//! The rows of a store in memory, and the indexes on them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::num::NonZeroUsize;
use std::ops::Bound;

use stockade_change_feed::{Timestamp, TraceContext, trace};

use crate::book::{Book, Changed, Changes, LocationPriority};
use crate::memory::journals::Journals;
use crate::model::{
    LocationId, OperationId, Purged, Reservation, ReservationId, ReservationState, Rest, Sku,
    SkuStock, StockLevel, Version,
};

#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) epoch: u32,
    pub(super) priority: LocationPriority,
    levels: BTreeMap<Sku, BTreeMap<LocationId, StockLevel>>,
    reservations: HashMap<ReservationId, Reservation>,
    /// Held reservations by their deadline.
    deadlines: BTreeSet<(Timestamp, ReservationId)>,
    /// Finished reservations by the time at which they finished.
    finished: BTreeSet<(Timestamp, ReservationId)>,
    pub(super) journals: Journals,
    /// With the trace of the last change.
    unpublished: BTreeMap<Sku, Option<TraceContext>>,
}

/// Reading.
impl Ledger {
    pub(super) fn stock(&self, sku: &Sku) -> Option<SkuStock> {
        let levels = self.levels.get(sku)?.values().cloned().collect();
        Some(SkuStock::new(levels).expect("a SKU has levels, filed by SKU and location"))
    }

    pub(super) fn skus_after(&self, after: Option<&Sku>) -> impl Iterator<Item = &Sku> {
        self.levels.range(following(after)).map(|(sku, _)| sku)
    }

    pub(super) fn unpublished_after(&self, after: Option<&Sku>) -> impl Iterator<Item = &Sku> {
        self.unpublished.range(following(after)).map(|(sku, _)| sku)
    }

    /// The trace of the last change of a SKU that is unpublished.
    pub(super) fn trace(&self, sku: &Sku) -> Option<TraceContext> {
        self.unpublished.get(sku).cloned().flatten()
    }

    pub(super) fn reservation(&self, id: &ReservationId) -> Option<&Reservation> {
        self.reservations.get(id)
    }

    /// The ids of held reservations whose deadline has come, the longest overdue first.
    pub(super) fn overdue(&self, now: Timestamp) -> impl Iterator<Item = &ReservationId> {
        self.deadlines
            .iter()
            .take_while(move |(deadline, _)| *deadline <= now)
            .map(|(_, id)| id)
    }
}

/// Deciding: rows go into a book, and what it changed comes back.
impl Ledger {
    pub(super) fn book(&self, now: Timestamp) -> Book {
        Book::new(now, self.epoch, self.priority.clone())
    }

    pub(super) fn load_sku(&self, book: &mut Book, sku: &Sku) {
        for level in self.levels.get(sku).into_iter().flat_map(BTreeMap::values) {
            book.load_level(level.clone());
        }
    }

    pub(super) fn load_reservation(&self, book: &mut Book, id: &ReservationId) {
        let Some(reservation) = self.reservations.get(id) else {
            return;
        };
        for line in &reservation.lines {
            self.load_sku(book, &line.sku);
        }
        book.load_reservation(reservation.clone());
    }

    pub(super) fn load_operation(&self, book: &mut Book, operation: &OperationId) {
        if let Some(movement) = self.journals.operation(operation) {
            self.load_sku(book, &movement.sku);
            book.load_operation(operation.clone(), movement.clone());
        }
    }

    pub(super) fn write(&mut self, changes: Changes) {
        let Changes {
            levels,
            reservations,
            movements,
        } = changes;
        for level in levels {
            self.write_level(level.after);
        }
        for reservation in reservations {
            self.write_reservation(reservation);
        }
        for movement in movements {
            self.journals.write(movement);
        }
    }

    fn write_level(&mut self, level: StockLevel) {
        self.unpublished.insert(level.sku.clone(), trace::current());
        let levels = self.levels.entry(level.sku.clone()).or_default();
        levels.insert(level.location.clone(), level);
    }

    fn write_reservation(&mut self, reservation: Changed<Reservation>) {
        let Changed { before, after } = reservation;
        if let Some(before) = before {
            self.deadlines.remove(&(before.deadline, before.id));
        }
        if after.state == ReservationState::Held {
            self.deadlines.insert((after.deadline, after.id.clone()));
        }
        if !after.state.is_live() {
            self.finished.insert((after.changed_at, after.id.clone()));
        }
        self.reservations.insert(after.id.clone(), after);
    }

    pub(super) fn mark_published(&mut self, sku: &Sku, version: Version) {
        if self
            .stock(sku)
            .is_some_and(|stock| stock.version() <= version)
        {
            self.unpublished.remove(sku);
        }
    }

    pub(super) fn raise_epoch(&mut self) {
        self.epoch = self.epoch.saturating_add(1);
        for levels in self.levels.values_mut() {
            for level in levels.values_mut() {
                level.version.epoch = self.epoch;
            }
        }
        self.unpublished = self.levels.keys().map(|sku| (sku.clone(), None)).collect();
    }
}

/// Purging.
impl Ledger {
    /// Removes at most `limit` reservations that finished by `until`.
    pub(super) fn purge_reservations(&mut self, until: Timestamp, limit: NonZeroUsize) -> Purged {
        let is_old = |(at, _): &(Timestamp, ReservationId)| *at <= until;
        let mut count = 0;
        while count < limit.get()
            && self.finished.first().is_some_and(is_old)
            && let Some((_, id)) = self.finished.pop_first()
        {
            self.reservations.remove(&id);
            count += 1;
        }
        Purged::new(
            count,
            Rest::more_if(self.finished.first().is_some_and(is_old)),
        )
    }
}

fn following(after: Option<&Sku>) -> (Bound<Sku>, Bound<Sku>) {
    let from = after.map_or(Bound::Unbounded, |sku| Bound::Excluded(sku.clone()));
    (from, Bound::Unbounded)
}
