//! What can go wrong with stock, and what the caller can do about it.

use std::time::Duration;

use stockade_change_feed::{Failing, Failure, FeedError, Retry, shorten};

use crate::ids::{LocationId, OperationId, ReservationId, Sku};
use crate::reservation::{Asked, ReservationState};

/// What went wrong with stock.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InventoryError {
    /// A value is outside what is allowed.
    #[error("{field} is invalid: {reason}; got {value:?}")]
    Invalid {
        /// Which input.
        field: &'static str,
        /// What it was, shortened if long.
        value: String,
        /// What is allowed.
        reason: String,
    },
    /// No stock was ever kept of these, at these locations.
    #[error("nothing is known of {}; set or receive stock first", list(.skus))]
    UnknownSku {
        /// All the unknown ones.
        skus: Vec<Sku>,
    },
    /// There is too little stock; nothing was reserved.
    #[error("too little stock: {}", list(.shortages))]
    Insufficient {
        /// What was short, a line each.
        shortages: Vec<Shortage>,
    },
    /// The store has no such reservation.
    #[error("reservation {id} does not exist, or its retention has ended")]
    UnknownReservation {
        /// The id asked for.
        id: ReservationId,
    },
    /// The id was used before for a request of other content.
    #[error("reservation id {id} was used before for other content; use a new id")]
    ReservationConflict {
        /// The id.
        id: ReservationId,
    },
    /// The operation id was used before for another adjustment.
    #[error("operation id {id} was used before for another adjustment; use a new id")]
    OperationConflict {
        /// The id.
        id: OperationId,
    },
    /// The state of the reservation does not allow it. Where a deadline had passed, the
    /// reservation is expired by now and `actual` says so.
    #[error("reservation {id} is {actual}; it can not {asked}")]
    WrongState {
        /// The reservation.
        id: ReservationId,
        /// What was asked for.
        asked: Asked,
        /// The state that it is in.
        actual: ReservationState,
    },
    /// The reservation belongs to another owner than the one named.
    #[error("reservation {id} belongs to another owner")]
    NotOwner {
        /// The reservation.
        id: ReservationId,
    },
    /// Physical stock would fall below what is promised.
    #[error(
        "{sku} at {location} has {promised} units promised, {short} more than would be left; \
         release or fulfil reservations first"
    )]
    BelowPromised {
        /// The SKU.
        sku: Sku,
        /// The location.
        location: LocationId,
        /// Reserved and escrowed units.
        promised: u64,
        /// By how many units the adjustment falls short.
        short: u64,
    },
    /// A queue is full.
    #[error("busy; try again in {retry_after:?}")]
    Busy {
        /// When to try again.
        retry_after: Duration,
    },
    /// The backend did not do what was asked.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// Stored data breaks a rule.
    #[error("stored data is damaged: {what}")]
    Damaged {
        /// What was found, and where.
        what: String,
    },
    /// Publishing stock events failed.
    #[error(transparent)]
    Feed(#[from] FeedError),
}

impl InventoryError {
    /// An [`InventoryError::Invalid`], with the value shortened to what fits a line.
    pub fn invalid(field: &'static str, value: impl AsRef<str>, reason: impl Into<String>) -> Self {
        Self::Invalid {
            field,
            value: shorten(value.as_ref()),
            reason: reason.into(),
        }
    }

    /// What the caller may do.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Failed(failure) => failure.retry(),
            Self::Busy { retry_after } => Retry::After(*retry_after),
            Self::Feed(error) => error.retry(),
            Self::Invalid { .. }
            | Self::UnknownSku { .. }
            | Self::Insufficient { .. }
            | Self::UnknownReservation { .. }
            | Self::ReservationConflict { .. }
            | Self::OperationConflict { .. }
            | Self::WrongState { .. }
            | Self::NotOwner { .. }
            | Self::BelowPromised { .. }
            | Self::Damaged { .. } => Retry::Never,
        }
    }
}

impl Failing for InventoryError {
    fn retry(&self) -> Retry {
        self.retry()
    }

    fn is_decision(&self) -> bool {
        !matches!(
            self,
            Self::Failed(_) | Self::Busy { .. } | Self::Damaged { .. } | Self::Feed(_)
        )
    }
}

/// A line of a request that could not be served.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shortage {
    /// The SKU.
    pub sku: Sku,
    /// The location that the line named, if it named one.
    pub location: Option<LocationId>,
    /// Units asked for.
    pub requested: u64,
    /// Units that could be reserved there; without a named location, at the one that has most.
    pub open: u64,
}

impl Shortage {
    /// A shortage of one line.
    #[must_use]
    pub fn new(sku: Sku, location: Option<LocationId>, requested: u64, open: u64) -> Self {
        Self {
            sku,
            location,
            requested,
            open,
        }
    }
}

impl std::fmt::Display for Shortage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} of {} requested, {} open",
            self.requested, self.sku, self.open
        )
    }
}

fn list<T: ToString>(items: &[T]) -> String {
    const MOST: usize = 5;
    let mut text = items
        .iter()
        .take(MOST)
        .map(T::to_string)
        .collect::<Vec<_>>()
        .join(", ");
    if items.len() > MOST {
        text.push_str(&format!(" and {} more", items.len() - MOST));
    }
    text
}
