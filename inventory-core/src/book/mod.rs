//! The decisions: which requests are granted, which steps are legal, what an adjustment does.
//!
//! A store loads the rows that a call needs into a [`Book`]. The book decides on one request after
//! the other, and collects what changed for the store to write. It does no I/O and reads no clock.

mod adjust;
#[cfg(test)]
mod model;
#[cfg(test)]
mod properties;
mod reserve;
mod settle;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;

use stockade_change_feed::Timestamp;

use crate::error::InventoryError;
use crate::model::{
    Counts, Delta, LocationId, Movement, MovementCause, OperationId, Reservation, ReservationId,
    Sku, StockLevel, Version,
};

/// The order in which the locations of a SKU are tried when a line names no location: first the
/// listed locations in their order, then all others by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocationPriority(Vec<LocationId>);

impl LocationPriority {
    /// These locations first, in this order.
    #[must_use]
    pub fn new(locations: Vec<LocationId>) -> Self {
        Self(locations)
    }

    /// The position of a location in the order.
    fn rank<'a>(&self, location: &'a LocationId) -> (usize, &'a LocationId) {
        let listed = self.0.iter().position(|first| first == location);
        (listed.unwrap_or(usize::MAX), location)
    }
}

/// Loaded rows, and the decisions on them.
///
/// ```
/// use stockade_change_feed::Timestamp;
/// use stockade_inventory_core::book::{Book, LocationPriority};
/// use stockade_inventory_core::*;
///
/// # fn main() -> Result<(), InventoryError> {
/// // The time is read after the rows are locked. The epoch is the store's.
/// let mut book = Book::new(Timestamp::from_millis(1_000), 0, LocationPriority::default());
/// let tee = Sku::new("tee-m")?;
/// let set = StockChange::Set(5);
/// let count = Adjustment::new(OperationId::new("count-1")?, tee, set, Reason::new("count")?);
/// // No level and no operation of that id is loaded: this begins a level.
/// let adjusted = book.adjust(&count)?;
/// assert_eq!(adjusted.level.counts.available(), 5);
///
/// let changes = book.into_changes();
/// assert_eq!((changes.levels.len(), changes.movements.len()), (1, 1));
/// # Ok(())
/// # }
/// ```
///
/// A row that was not loaded does not exist for the book. A call needs:
///
/// - [`reserve`](Book::reserve): the reservation of the request's id, and of each line the level
///   that it names, or all levels of its SKU where it names none;
/// - [`transition`](Book::transition), [`extend`](Book::extend), [`expire`](Book::expire): the
///   reservation, and the levels of its lines;
/// - [`adjust`](Book::adjust): the movement of the operation's id with the level that it moved,
///   and the level that the adjustment names.
///
/// A row is loaded once. Loading it again changes nothing, because the book may have changed it
/// since. A store that reads in several steps without locks must read the reservation after the
/// levels. Otherwise a caller that repeats a granted request may get an error that stock is short,
/// although its own grant took the last unit.
#[derive(Clone, Debug)]
pub struct Book {
    now: Timestamp,
    epoch: u32,
    priority: LocationPriority,
    levels: BTreeMap<Sku, BTreeMap<LocationId, Entry<StockLevel>>>,
    reservations: BTreeMap<ReservationId, Entry<Reservation>>,
    operations: BTreeMap<OperationId, Movement>,
    movements: Vec<Movement>,
}

/// The rows that a store has to write: all of them or none. Write them even when the outcome was an
/// error, because refusing to confirm an overdue reservation expires it.
///
/// Exhaustive, so that a store which does not write one of the fields does not compile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Levels, each once, in lock order.
    pub levels: Vec<Changed<StockLevel>>,
    /// Reservations, each once, in the order of their ids.
    pub reservations: Vec<Changed<Reservation>>,
    /// New movements, in the order in which they took effect. A movement with
    /// [`MovementCause::Adjusted`] is found by its operation id from now on.
    pub movements: Vec<Movement>,
}

/// A row as it was loaded, and as it is to be written.
///
/// A store without locks makes its write conditional on `before`: the row is still the same, or
/// still does not exist. A store with locks must also handle new rows: a lock on existing rows does
/// not stop a second writer from inserting the same row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed<T> {
    /// The row as it was loaded. None if it is new.
    pub before: Option<T>,
    /// The row to write.
    pub after: T,
}

impl Book {
    /// An empty book. Read `now` from the store's clock after the rows were locked; `epoch` is the
    /// store's epoch.
    #[must_use]
    pub fn new(now: Timestamp, epoch: u32, priority: LocationPriority) -> Self {
        Self {
            now,
            epoch,
            priority,
            levels: BTreeMap::new(),
            reservations: BTreeMap::new(),
            operations: BTreeMap::new(),
            movements: Vec::new(),
        }
    }

    /// Loads a level.
    pub fn load_level(&mut self, level: StockLevel) {
        let levels = self.levels.entry(level.sku.clone()).or_default();
        levels
            .entry(level.location.clone())
            .or_insert_with(|| Entry::loaded(level));
    }

    /// Loads a reservation.
    pub fn load_reservation(&mut self, reservation: Reservation) {
        let entry = self.reservations.entry(reservation.id.clone());
        entry.or_insert_with(|| Entry::loaded(reservation));
    }

    /// Loads the movement of an operation.
    pub fn load_operation(&mut self, operation: OperationId, movement: Movement) {
        self.operations.entry(operation).or_insert(movement);
    }

    /// What the store has to write.
    #[must_use]
    pub fn into_changes(self) -> Changes {
        let levels = self.levels.into_values().flat_map(BTreeMap::into_values);
        let reservations = self.reservations.into_values();
        Changes {
            levels: levels.filter_map(Entry::into_changed).collect(),
            reservations: reservations.filter_map(Entry::into_changed).collect(),
            movements: self.movements,
        }
    }

    fn level(&self, sku: &Sku, location: &LocationId) -> Option<&StockLevel> {
        self.levels.get(sku)?.get(location).map(|entry| &entry.now)
    }

    fn reservation(&self, id: &ReservationId) -> Option<&Reservation> {
        self.reservations.get(id).map(|entry| &entry.now)
    }

    /// Moves units at all of these levels, or at none.
    ///
    /// A level that does not exist has no units, and begins with the movement.
    fn move_units(
        &mut self,
        deltas: BTreeMap<(Sku, LocationId), Delta>,
        cause: &MovementCause,
    ) -> Result<Vec<Movement>, InventoryError> {
        let moved = deltas
            .into_iter()
            .map(|((sku, location), delta)| self.moved(sku, location, delta, cause))
            .collect::<Result<Vec<_>, _>>()?;
        let mut movements = Vec::with_capacity(moved.len());
        for (level, movement) in moved {
            let levels = self.levels.entry(level.sku.clone()).or_default();
            put(levels, level.location.clone(), level);
            self.movements.push(movement.clone());
            movements.push(movement);
        }
        Ok(movements)
    }

    /// The level after a movement, and the movement.
    fn moved(
        &self,
        sku: Sku,
        location: LocationId,
        delta: Delta,
        cause: &MovementCause,
    ) -> Result<(StockLevel, Movement), InventoryError> {
        let (counts, version) = match self.level(&sku, &location) {
            Some(level) => (level.counts, level.version),
            None => (Counts::default(), Version::default()),
        };
        let (Some(counts), Some(number)) = (counts.after(delta), version.number.checked_add(1))
        else {
            let what =
                format!("{sku} at {location} has {counts:?} at {version}, to move {delta:?}");
            return Err(InventoryError::Damaged { what });
        };
        let version = Version::new(version.epoch.max(self.epoch), number);
        let (at, cause) = (self.now, cause.clone());
        let level = StockLevel::new(sku.clone(), location.clone(), counts, version, at);
        let movement = Movement::new(sku, location, version, at, delta, cause);
        Ok((level, movement))
    }
}

/// Puts a row as it is now. Its entry keeps the row as it was loaded.
fn put<K: Ord, T>(rows: &mut BTreeMap<K, Entry<T>>, key: K, row: T) {
    match rows.entry(key) {
        Slot::Vacant(slot) => {
            slot.insert(Entry {
                now: row,
                loaded: Loaded::Not,
            });
        }
        Slot::Occupied(mut slot) => {
            let entry = slot.get_mut();
            let before = std::mem::replace(&mut entry.now, row);
            if let Loaded::AsItIs = entry.loaded {
                entry.loaded = Loaded::As(before);
            }
        }
    }
}

/// A row in the book: as it was loaded, and as it is now.
#[derive(Clone, Debug)]
struct Entry<T> {
    now: T,
    loaded: Loaded<T>,
}

#[derive(Clone, Debug)]
enum Loaded<T> {
    AsItIs,
    As(T),
    Not,
}

impl<T> Entry<T> {
    fn loaded(row: T) -> Self {
        Self {
            now: row,
            loaded: Loaded::AsItIs,
        }
    }

    fn into_changed(self) -> Option<Changed<T>> {
        let before = match self.loaded {
            Loaded::AsItIs => return None,
            Loaded::As(before) => Some(before),
            Loaded::Not => None,
        };
        Some(Changed {
            before,
            after: self.now,
        })
    }
}

/// A count of units as a signed number. [`Counts`] and quantities stay below 2^53.
fn units(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
