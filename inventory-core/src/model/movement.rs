//! The changes of a stock level, one by one.

use serde::{Deserialize, Serialize};
use stockade_change_feed::Timestamp;

use crate::model::{Delta, LocationId, OperationId, Quantity, Reason, ReservationId, Sku, Version};

/// One change of one stock level.
///
/// The movements of a level add up to its three counts. When old movements were purged, the first
/// movement is an opening balance with their sum.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Movement {
    /// The SKU.
    pub sku: Sku,
    /// The location.
    pub location: LocationId,
    /// The version that the level took.
    pub version: Version,
    /// The time, on the store's clock.
    pub at: Timestamp,
    /// The change of the counts.
    pub delta: Delta,
    /// The cause.
    pub cause: MovementCause,
}

impl Movement {
    /// A movement as a store keeps it.
    #[must_use]
    pub fn new(
        sku: Sku,
        location: LocationId,
        version: Version,
        at: Timestamp,
        delta: Delta,
        cause: MovementCause,
    ) -> Self {
        Self {
            sku,
            location,
            version,
            at,
            delta,
            cause,
        }
    }

    /// The opening balance that replaces this movement. `before` is the sum of all earlier movements
    /// of its level, which the opening balance replaces as well.
    #[must_use]
    pub fn into_opening_balance(self, before: Delta) -> Self {
        Self {
            delta: before.plus(self.delta),
            cause: MovementCause::OpeningBalance,
            ..self
        }
    }

    /// Whether it carries the sum of purged movements.
    #[must_use]
    pub fn is_opening_balance(&self) -> bool {
        self.cause == MovementCause::OpeningBalance
    }
}

/// The cause of a movement.
///
/// Exhaustive, so that a store which does not handle a cause does not compile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MovementCause {
    /// Units were promised to a reservation.
    Reserved(ReservationId),
    /// A held reservation was released.
    Released(ReservationId),
    /// The deadline of a held reservation passed.
    Expired(ReservationId),
    /// A confirmed reservation was cancelled.
    Cancelled(ReservationId),
    /// The units of a confirmed reservation were shipped.
    Fulfilled(ReservationId),
    /// Stock was received, corrected or counted.
    Adjusted {
        /// The id of the adjustment.
        operation: OperationId,
        /// The change that was asked for.
        change: StockChange,
        /// The reason, for people.
        reason: Reason,
    },
    /// The sum of all movements of the level up to this version and time, which were purged by
    /// [`StockRetention`](crate::StockRetention). It is the first movement of its level.
    OpeningBalance,
}

/// What an adjustment does to the physical count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StockChange {
    /// This many units came in.
    Receive(Quantity),
    /// The count was wrong by this many units, up or down; not 0.
    Correct(i64),
    /// This many units are in stock.
    Set(u64),
}
