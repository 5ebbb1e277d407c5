//! The decisions: what is granted, which step is legal, what an adjustment does.
//!
//! A [`Book`] is a page of the ledger: the rows that a call needs, loaded by a store. It decides
//! on them one request after the other and collects what changed, for the store to write. It
//! does no I/O and reads no clock.

mod adjust;
#[cfg(test)]
mod model;
#[cfg(test)]
mod properties;
mod reserve;
mod settle;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use stockade_change_feed::Timestamp;

use crate::error::InventoryError;
use crate::ids::{LocationId, OperationId, ReservationId, Sku};
use crate::reservation::Reservation;
use crate::stock::{Counts, Delta, Movement, MovementCause, StockLevel, Version};

/// The order in which locations are tried where a line names none: those listed, in their order,
/// then all others by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocationPriority(Vec<LocationId>);

impl LocationPriority {
    /// These first, in this order.
    #[must_use]
    pub fn new(locations: Vec<LocationId>) -> Self {
        Self(locations)
    }

    /// Where a location stands in the order.
    fn rank<'a>(&self, location: &'a LocationId) -> (usize, &'a LocationId) {
        let listed = self.0.iter().position(|first| first == location);
        (listed.unwrap_or(usize::MAX), location)
    }
}

/// Loaded rows, and the decisions on them.
///
/// What was not loaded does not exist: load all levels of every SKU that a request names, the
/// reservation and the operation of its id, and the levels of a reservation's lines.
#[derive(Clone, Debug)]
pub struct Book {
    now: Timestamp,
    epoch: u32,
    priority: LocationPriority,
    levels: BTreeMap<Sku, BTreeMap<LocationId, StockLevel>>,
    reservations: BTreeMap<ReservationId, Reservation>,
    operations: BTreeMap<OperationId, Movement>,
    changed_levels: BTreeSet<(Sku, LocationId)>,
    changed_reservations: BTreeSet<ReservationId>,
    movements: Vec<Movement>,
}

/// What a store has to write, all of it or nothing: also where the outcome was an error, because
/// refusing to confirm an overdue reservation expires it.
///
/// Exhaustive: a store that forgets to write something must not compile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Levels in their new state, new ones among them, each once, in lock order.
    pub levels: Vec<StockLevel>,
    /// Reservations in their new state, new ones among them, each once.
    pub reservations: Vec<Reservation>,
    /// New movements, in the order in which they took effect. Those with
    /// [`MovementCause::Adjusted`] are found by their operation id from now on.
    pub movements: Vec<Movement>,
}

impl Book {
    /// An empty book at a time on the store's clock, read after the rows were locked, in the
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
            changed_levels: BTreeSet::new(),
            changed_reservations: BTreeSet::new(),
            movements: Vec::new(),
        }
    }

    /// Loads a level.
    pub fn load_level(&mut self, level: StockLevel) {
        self.levels
            .entry(level.sku.clone())
            .or_default()
            .insert(level.location.clone(), level);
    }

    /// Loads a reservation.
    pub fn load_reservation(&mut self, reservation: Reservation) {
        self.reservations
            .insert(reservation.id.clone(), reservation);
    }

    /// Loads the movement that an operation made.
    pub fn load_operation(&mut self, operation: OperationId, movement: Movement) {
        self.operations.insert(operation, movement);
    }

    /// What is to be written.
    #[must_use]
    pub fn into_changes(mut self) -> Changes {
        let changed = std::mem::take(&mut self.changed_levels);
        Changes {
            levels: changed
                .iter()
                .filter_map(|(sku, location)| self.level(sku, location).cloned())
                .collect(),
            reservations: self
                .changed_reservations
                .iter()
                .filter_map(|id| self.reservations.get(id).cloned())
                .collect(),
            movements: self.movements,
        }
    }

    fn level(&self, sku: &Sku, location: &LocationId) -> Option<&StockLevel> {
        self.levels.get(sku)?.get(location)
    }

    /// Moves units at one or more levels: at all of them, or where one can not, at none.
    ///
    /// A level that does not exist has no units yet, and begins to exist.
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
            let place = (level.sku.clone(), level.location.clone());
            self.changed_levels.insert(place);
            self.load_level(level);
            self.movements.push(movement.clone());
            movements.push(movement);
        }
        Ok(movements)
    }

    /// A level after a movement, and the movement.
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

    fn put_reservation(&mut self, reservation: Reservation) {
        self.changed_reservations.insert(reservation.id.clone());
        self.load_reservation(reservation);
    }
}

/// A count of units as a change upwards; [`Counts`] and quantities stay below 2^53.
fn units(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
