//! The error of this crate, and what a caller can do after it.

use std::time::Duration;

use stockade_change_feed::{Failing, Failure, FeedError, Retry, shorten};

use crate::model::{Asked, LocationId, OperationId, ReservationId, ReservationState, Sku};

/// An error of a store, of a worker, or in a request.
///
/// [`retry`](Self::retry) says what the caller may do. After
/// [`OutcomeUnknown`](Retry::OutcomeUnknown) the call may have taken effect: repeat the same call
/// with the same id to find out. After every other error nothing took effect, except that
/// [`WrongState`](Self::WrongState) may have expired the reservation.
///
/// ```
/// use stockade_change_feed::Retry;
/// use stockade_inventory_core::{InventoryError, Sku};
///
/// let error = Sku::new("").unwrap_err();
/// assert!(matches!(error, InventoryError::Invalid { field: "sku", .. }));
/// assert_eq!(error.retry(), Retry::Never);
/// ```
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InventoryError {
    /// A value is not allowed.
    #[error("{field} is invalid: {reason}; got {value:?}")]
    Invalid {
        /// The name of the input.
        field: &'static str,
        /// Its value, shortened if long.
        value: String,
        /// What is allowed.
        reason: String,
    },
    /// These SKUs have no level, at the named location or at any: their stock was never set or
    /// received.
    #[error("unknown SKU: {}; set or receive stock of it first", list(.skus, ", "))]
    UnknownSku {
        /// All unknown SKUs of the request.
        skus: Vec<Sku>,
    },
    /// There is not enough stock. Nothing was reserved.
    #[error("not enough stock: {}", list(.shortages, "; "))]
    Insufficient {
        /// Every line that is short.
        shortages: Vec<Shortage>,
    },
    /// There is no reservation of this id. It was never granted, or it finished long ago and was
    /// purged.
    #[error("reservation {id} does not exist; it was never granted, or it was purged")]
    UnknownReservation {
        /// The id asked for.
        id: ReservationId,
    },
    /// The id was used before, for another owner or other lines.
    #[error("reservation id {id} was used before for another owner or other lines; use a new id")]
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
    /// The state of the reservation does not allow the step. If the deadline had passed, this call
    /// expired the reservation, and `actual` is `Expired`.
    #[error("reservation {id} is {actual}; it can not {asked}")]
    WrongState {
        /// The reservation.
        id: ReservationId,
        /// The step.
        asked: Asked,
        /// The state of the reservation.
        actual: ReservationState,
    },
    /// The reservation belongs to another owner than the one that the caller acts for.
    #[error("reservation {id} belongs to another owner")]
    NotOwner {
        /// The reservation.
        id: ReservationId,
    },
    /// Physical stock would fall below the promised units. Nothing was changed.
    #[error(
        "{promised} units of {sku} at {location} are promised, and the adjustment would leave \
         {short} too few; release, cancel or fulfil reservations first"
    )]
    BelowPromised {
        /// The SKU.
        sku: Sku,
        /// The location.
        location: LocationId,
        /// Units that are reserved or set aside.
        promised: u64,
        /// The number of promised units that would be missing.
        short: u64,
    },
    /// A queue is full. Nothing took effect.
    #[error("busy: a queue is full; try again in {retry_after:?}")]
    Busy {
        /// When to try again.
        retry_after: Duration,
    },
    /// The backend or the connection to it failed. [`Failure::retry`] says what the caller may do.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// Stored rows can not be read, or contradict each other. Nothing was changed.
    #[error("stored data is damaged: {what}")]
    Damaged {
        /// What was found, and in which row.
        what: String,
    },
    /// Publishing stock events failed.
    #[error(transparent)]
    Feed(#[from] FeedError),
}

impl InventoryError {
    /// An [`InventoryError::Invalid`], with the value shortened to fit a line.
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

/// A line of a request for which there is not enough stock.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shortage {
    /// The SKU.
    pub sku: Sku,
    /// The location that the line names, if it names one.
    pub location: Option<LocationId>,
    /// The units that the line asks for.
    pub requested: u64,
    /// The units that can be reserved at that location. If the line names none: at the location
    /// that has the most.
    pub open: u64,
}

impl Shortage {
    /// The shortage of one line.
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
            "{}: {} requested, {} open",
            self.sku, self.requested, self.open
        )
    }
}

fn list<T: ToString>(items: &[T], separator: &str) -> String {
    const MOST: usize = 5;
    let mut text = items
        .iter()
        .take(MOST)
        .map(T::to_string)
        .collect::<Vec<_>>()
        .join(separator);
    if items.len() > MOST {
        text.push_str(&format!(" and {} more", items.len() - MOST));
    }
    text
}
