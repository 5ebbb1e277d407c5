//! Reservations as a store keeps them, and their states.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use stockade_change_feed::Timestamp;

use crate::error::InventoryError;
use crate::model::{LocationId, OwnerId, Quantity, ReservationId, Sku};

/// The state of a reservation.
///
/// Held becomes confirmed, released or expired. Confirmed becomes fulfilled or cancelled. The
/// other four are final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReservationState {
    /// The units are promised until the deadline.
    Held,
    /// The units are promised without a deadline, as after payment.
    Confirmed,
    /// The units were shipped.
    Fulfilled,
    /// The holder gave it up while it was held.
    Released,
    /// The deadline passed while it was held.
    Expired,
    /// It was given up after it was confirmed.
    Cancelled,
}

impl ReservationState {
    /// The name in stored rows and in JSON, such as `held`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Confirmed => "confirmed",
            Self::Fulfilled => "fulfilled",
            Self::Released => "released",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether the reservation holds units: held or confirmed.
    #[must_use]
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Held | Self::Confirmed)
    }
}

impl FromStr for ReservationState {
    type Err = InventoryError;

    /// Parses the name that [`as_str`](Self::as_str) returns.
    fn from_str(name: &str) -> Result<Self, InventoryError> {
        let all = [
            Self::Held,
            Self::Confirmed,
            Self::Fulfilled,
            Self::Released,
            Self::Expired,
            Self::Cancelled,
        ];
        let named = all.into_iter().find(|state| state.as_str() == name);
        named.ok_or_else(|| InventoryError::Damaged {
            what: format!("a reservation in the state {name:?}"),
        })
    }
}

impl fmt::Display for ReservationState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Units of one SKU that a reservation was granted at one location.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReservedLine {
    /// The SKU.
    pub sku: Sku,
    /// The location.
    pub location: LocationId,
    /// The number of units.
    pub quantity: Quantity,
}

/// A reservation as a store keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Reservation {
    /// The id of its request.
    pub id: ReservationId,
    /// The holder.
    pub owner: OwnerId,
    /// The granted units, ordered by SKU and location.
    pub lines: Vec<ReservedLine>,
    /// The state.
    pub state: ReservationState,
    /// The time at which it expires if it is still held, on the store's clock.
    pub deadline: Timestamp,
    /// The time of the grant, on the store's clock.
    pub created_at: Timestamp,
    /// The time of the last change of its state or deadline, on the store's clock.
    pub changed_at: Timestamp,
}

impl Reservation {
    /// A reservation that was granted at `created_at` and is held.
    #[must_use]
    pub fn new(
        id: ReservationId,
        owner: OwnerId,
        lines: Vec<ReservedLine>,
        deadline: Timestamp,
        created_at: Timestamp,
    ) -> Self {
        let state = ReservationState::Held;
        Self {
            id,
            owner,
            lines,
            state,
            deadline,
            created_at,
            changed_at: created_at,
        }
    }

    /// The same reservation in `state`, which it took at `changed_at`.
    #[must_use]
    pub fn with_state(mut self, state: ReservationState, changed_at: Timestamp) -> Self {
        self.state = state;
        self.changed_at = changed_at;
        self
    }

    /// Whether it has to expire at `now`: it is held, and its deadline is `now` or
    /// earlier.
    #[must_use]
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        self.state == ReservationState::Held && self.deadline <= now
    }
}
