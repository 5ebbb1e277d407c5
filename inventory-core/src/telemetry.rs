//! The names of the metrics and of the values of their labels.

use crate::error::InventoryError;

/// Calls by `operation` and `outcome`.
pub(crate) const OPERATIONS: &str = "stockade_inventory_operations_total";
/// The duration of calls, all attempts together, by `operation`.
pub(crate) const OPERATION_SECONDS: &str = "stockade_inventory_operation_seconds";
/// Timers that could not be set or removed, by `operation`.
pub(crate) const TIMER_FAILURES: &str = "stockade_inventory_timer_failures_total";
/// Expired reservations, `by` the timer or the sweep that found them.
pub(crate) const EXPIRED: &str = "stockade_inventory_expired_total";
/// Failed calls of the expiry worker, by `operation`.
pub(crate) const EXPIRY_FAILURES: &str = "stockade_inventory_expiry_failures_total";
/// Stock events that the log acknowledged.
pub(crate) const PUBLISHED: &str = "stockade_inventory_published_total";
/// Stock events that the log did not acknowledge.
pub(crate) const PUBLISH_FAILURES: &str = "stockade_inventory_publish_failures_total";
/// Seconds since everything was published and the heartbeats were sent.
pub(crate) const COMPLETE_AGE: &str = "stockade_inventory_relay_complete_age_seconds";
/// Purged rows, by `what`: `reservations` or `movements`.
pub(crate) const PURGED: &str = "stockade_inventory_purged_total";
/// Failed passes of the retention worker.
pub(crate) const PURGE_FAILURES: &str = "stockade_inventory_purge_failures_total";

/// The outcome of a call, as a label.
pub(crate) fn outcome<T>(outcome: &Result<T, InventoryError>) -> &'static str {
    match outcome {
        Ok(_) => "ok",
        Err(error) => match error {
            InventoryError::Invalid { .. } => "invalid",
            InventoryError::UnknownSku { .. } => "unknown_sku",
            InventoryError::Insufficient { .. } => "insufficient",
            InventoryError::UnknownReservation { .. } => "unknown_reservation",
            InventoryError::ReservationConflict { .. } => "reservation_conflict",
            InventoryError::OperationConflict { .. } => "operation_conflict",
            InventoryError::WrongState { .. } => "wrong_state",
            InventoryError::NotOwner { .. } => "not_owner",
            InventoryError::BelowPromised { .. } => "below_promised",
            InventoryError::Busy { .. } => "busy",
            InventoryError::Failed(failure) => failure.outcome(),
            InventoryError::Damaged { .. } => "damaged",
            InventoryError::Feed(_) => "feed",
        },
    }
}
