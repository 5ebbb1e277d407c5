//! The rows of the stores of the self-tests, as they are kept in memory and in a file.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};
use stockade_change_feed::Timestamp;
use stockade_inventory_core::book::{Book, Changed, Changes, LocationPriority};
use stockade_inventory_core::{
    InventoryError, LocationId, Movement, MovementCause, Reservation, ReservationId, Sku, SkuStock,
    StockLevel,
};

pub(super) type Levels = BTreeMap<Sku, BTreeMap<LocationId, StockLevel>>;

#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Rows {
    pub(super) epoch: u32,
    pub(super) levels: Levels,
    pub(super) reservations: BTreeMap<ReservationId, Reservation>,
    /// Deadlines of the grants, which extensions do not change.
    pub(super) first_deadlines: HashMap<ReservationId, Timestamp>,
    /// Reservations whose rows can not be read.
    pub(super) damaged: BTreeSet<ReservationId>,
    /// SKUs whose levels can not be read.
    pub(super) damaged_levels: BTreeSet<Sku>,
    /// The position of the next movement, where it is not determined by the last one.
    pub(super) counted: Option<u64>,
    /// By their position in the listing.
    pub(super) movements: BTreeMap<u64, Movement>,
    pub(super) unpublished: BTreeSet<Sku>,
}

impl Rows {
    /// An empty book.
    pub(super) fn blank(&self, now: Timestamp, epoch: u32) -> Book {
        Book::new(now, epoch, LocationPriority::default())
    }

    /// A book of all levels.
    pub(super) fn levels_only(&self, now: Timestamp, epoch: u32) -> Book {
        let mut book = self.blank(now, epoch);
        load_levels(&mut book, &self.levels);
        book
    }

    /// A book of all rows; small stores can afford it.
    pub(super) fn book(&self, now: Timestamp, epoch: u32) -> Book {
        let mut book = self.levels_only(now, epoch);
        self.load_reservations(&mut book);
        self.load_operations(&mut book);
        book
    }

    pub(super) fn load_reservations(&self, book: &mut Book) {
        for reservation in self.reservations.values() {
            book.load_reservation(reservation.clone());
        }
    }

    pub(super) fn load_operations(&self, book: &mut Book) {
        for movement in self.movements.values() {
            if let MovementCause::Adjusted { operation, .. } = &movement.cause {
                book.load_operation(operation.clone(), movement.clone());
            }
        }
    }

    /// Writes what changed, but for the outbox, and returns the SKUs that belong there.
    pub(super) fn write(&mut self, changes: Changes) -> BTreeSet<Sku> {
        let Changes {
            levels,
            reservations,
            movements,
        } = changes;
        let mut changed = BTreeSet::new();
        for Changed { after: level, .. } in levels {
            changed.insert(level.sku.clone());
            let at = self.levels.entry(level.sku.clone()).or_default();
            at.insert(level.location.clone(), level);
        }
        for Changed { after, .. } in reservations {
            let id = after.id.clone();
            let first = self.first_deadlines.entry(id.clone());
            first.or_insert(after.deadline);
            self.reservations.insert(id, after);
        }
        for movement in movements {
            let position = self.end();
            self.counted = self.counted.map(|_| position + 1);
            self.movements.insert(position, movement);
        }
        changed
    }

    /// The position of the next movement.
    pub(super) fn end(&self) -> u64 {
        let last = self.movements.keys().next_back();
        self.counted.unwrap_or(last.map_or(0, |last| last + 1))
    }

    /// Whether a reservation has a line whose level can not be read.
    pub(super) fn needs_damaged(&self, reservation: &Reservation) -> bool {
        let mut lines = reservation.lines.iter();
        lines.any(|line| self.damaged_levels.contains(&line.sku))
    }

    /// Fails if any of these reservations needs a level that can not be read.
    pub(super) fn undamaged<'a>(
        &self,
        mut reservations: impl Iterator<Item = &'a Reservation>,
    ) -> Result<(), InventoryError> {
        match reservations.find(|reservation| self.needs_damaged(reservation)) {
            None => Ok(()),
            Some(reservation) => Err(InventoryError::Damaged {
                what: format!("a level of reservation {} can not be read", reservation.id),
            }),
        }
    }

    pub(super) fn stock(&self, sku: &Sku) -> Option<SkuStock> {
        let levels = self.levels.get(sku)?.values().cloned().collect();
        Some(SkuStock::new(levels).unwrap())
    }
}

pub(super) fn load_levels(book: &mut Book, levels: &Levels) {
    for level in levels.values().flat_map(BTreeMap::values) {
        book.load_level(level.clone());
    }
}
