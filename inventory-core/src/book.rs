//! The decisions: what is granted, which step is legal, what an adjustment does.
//!
//! A [`Book`] is a page of the ledger: the rows that a call needs, loaded by a store. It decides
//! on them one request after the other and collects what changed, for the store to write. It
//! does no I/O and reads no clock.

use std::collections::BTreeMap;

use stockade_change_feed::Timestamp;

use crate::error::InventoryError;
use crate::ids::{LocationId, OperationId, ReservationId, Sku};
use crate::reservation::{
    Adjusted, Adjustment, Expiry, ExtendRequest, Reservation, ReserveRequest, Reserved,
    TransitionRequest, Transitioned,
};
use crate::stock::{Movement, StockLevel};

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
    levels: BTreeMap<(Sku, LocationId), StockLevel>,
    reservations: BTreeMap<ReservationId, Reservation>,
    operations: BTreeMap<OperationId, Movement>,
    changes: Changes,
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
    /// [`MovementCause::Adjusted`](crate::MovementCause::Adjusted) are found by their operation
    /// id from now on.
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
            changes: Changes::default(),
        }
    }
}

/// The decisions, one request after the other.
impl Book {
    /// Loads a level.
    pub fn load_level(&mut self, level: StockLevel) {
        self.levels
            .insert((level.sku.clone(), level.location.clone()), level);
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

    /// Grants a request whole, finds its earlier grant, or refuses it.
    ///
    /// # Errors
    /// As for [`InventoryStore::reserve`](crate::InventoryStore::reserve).
    pub fn reserve(&mut self, request: &ReserveRequest) -> Result<Reserved, InventoryError> {
        let _ = (request, self.now, self.epoch, &self.priority);
        todo!()
    }

    /// Takes a reservation a step further.
    ///
    /// # Errors
    /// As for [`InventoryStore::transition`](crate::InventoryStore::transition).
    pub fn transition(
        &mut self,
        request: &TransitionRequest,
    ) -> Result<Transitioned, InventoryError> {
        let _ = request;
        todo!()
    }

    /// Moves a deadline, never back.
    ///
    /// # Errors
    /// As for [`InventoryStore::extend`](crate::InventoryStore::extend).
    pub fn extend(&mut self, request: &ExtendRequest) -> Result<Transitioned, InventoryError> {
        let _ = request;
        todo!()
    }

    /// Expires a reservation if it is held and overdue.
    ///
    /// # Errors
    /// [`InventoryError::Damaged`] where a level of its lines is missing or too small.
    pub fn expire(&mut self, id: &ReservationId) -> Result<Expiry, InventoryError> {
        let _ = id;
        todo!()
    }

    /// Changes physical stock, or finds what the operation did before.
    ///
    /// # Errors
    /// As for [`InventoryStore::adjust`](crate::InventoryStore::adjust).
    pub fn adjust(&mut self, adjustment: &Adjustment) -> Result<Adjusted, InventoryError> {
        let _ = adjustment;
        todo!()
    }

    /// What is to be written.
    #[must_use]
    pub fn into_changes(self) -> Changes {
        self.changes
    }
}
