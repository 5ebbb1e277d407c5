//! The results of calls.

use std::time::Duration;

use stockade_change_feed::Timestamp;

use crate::error::InventoryError;
use crate::model::{Durability, Movement, Reservation, ReservationState, StockLevel};

/// Whether a call made its change, or found that an earlier call had made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// This call made the change.
    Applied,
    /// An earlier call made it. This call changed nothing.
    Repeated,
}

/// A granted request. The grant may be from an earlier call.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reserved {
    /// The reservation as it is now.
    pub reservation: Reservation,
    /// Whether this call made the grant.
    pub effect: Effect,
    /// The time to the deadline on the store's clock: zero after the deadline. Meaningful only
    /// while the reservation is held.
    pub remaining: Duration,
    /// What the grant survives.
    pub durability: Durability,
}

impl Reserved {
    /// A grant, with the time that remains at `now`.
    #[must_use]
    pub fn new(
        reservation: Reservation,
        effect: Effect,
        now: Timestamp,
        durability: Durability,
    ) -> Self {
        let remaining = reservation.deadline.since(now).unwrap_or_default();
        Self {
            reservation,
            effect,
            remaining,
            durability,
        }
    }

    /// Whether the units still belong to the owner: the reservation is held and has time left, or
    /// it is confirmed or fulfilled. Check this after a repeated request: the first grant that it
    /// finds may have ended since.
    #[must_use]
    pub fn stands(&self) -> bool {
        match self.reservation.state {
            ReservationState::Held => !self.remaining.is_zero(),
            ReservationState::Confirmed | ReservationState::Fulfilled => true,
            ReservationState::Released
            | ReservationState::Expired
            | ReservationState::Cancelled => false,
        }
    }
}

/// A transition or an extension that succeeded, in this call or an earlier one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transitioned {
    /// The reservation as it is now.
    pub reservation: Reservation,
    /// Whether this call made the change.
    pub effect: Effect,
    /// The time to the deadline on the store's clock: zero after the deadline. Meaningful only
    /// while the reservation is held.
    pub remaining: Duration,
}

impl Transitioned {
    /// An outcome, with the time that remains at `now`.
    #[must_use]
    pub fn new(reservation: Reservation, effect: Effect, now: Timestamp) -> Self {
        let remaining = reservation.deadline.since(now).unwrap_or_default();
        Self {
            reservation,
            effect,
            remaining,
        }
    }
}

/// What [`InventoryStore::expire`](crate::InventoryStore::expire) found, for one reservation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// This call expired it.
    Expired(Reservation),
    /// It is held, and its deadline is in the future.
    NotDue {
        /// The time to the deadline on the store's clock.
        remaining: Duration,
    },
    /// It was not held any more. Contains its state.
    Settled(ReservationState),
    /// The store has no such reservation.
    Unknown,
}

/// An adjustment that took effect, in this call or an earlier one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Adjusted {
    /// The movement that the adjustment made.
    pub movement: Movement,
    /// The level as it is now.
    pub level: StockLevel,
    /// Whether this call made the change.
    pub effect: Effect,
}

impl Adjusted {
    /// The outcome of an adjustment.
    #[must_use]
    pub fn new(movement: Movement, level: StockLevel, effect: Effect) -> Self {
        Self {
            movement,
            level,
            effect,
        }
    }
}

/// Whether a call left work for the next one.
///
/// A store may do less in a call than its limit allows. Only this value says whether to call again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rest {
    /// The call did all the work that it could find.
    None,
    /// There is more to do, or there may be: call again.
    More,
}

impl Rest {
    /// [`Rest::More`] when a store knows that work is left, or can not exclude it.
    #[must_use]
    pub const fn more_if(work_is_left: bool) -> Self {
        if work_is_left { Self::More } else { Self::None }
    }
}

/// What a call of [`StockRetention`](crate::StockRetention) removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Purged {
    /// The number of reservations or movements.
    pub count: usize,
    /// Whether there is more to remove.
    pub rest: Rest,
}

impl Purged {
    /// A number of removed rows, and whether there is more to remove.
    #[must_use]
    pub const fn new(count: usize, rest: Rest) -> Self {
        Self { count, rest }
    }
}

/// What a call of [`InventoryStore::expire_overdue`](crate::InventoryStore::expire_overdue) did.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Sweep {
    /// The reservations that expired, the longest overdue first, and an error for each damaged
    /// reservation that is reported.
    pub outcomes: Vec<Result<Reservation, InventoryError>>,
    /// Whether there are more reservations to expire. Damaged reservations do not count.
    pub rest: Rest,
}

impl Sweep {
    /// The outcomes of a sweep, and whether there is more to expire.
    #[must_use]
    pub const fn new(outcomes: Vec<Result<Reservation, InventoryError>>, rest: Rest) -> Self {
        Self { outcomes, rest }
    }
}
