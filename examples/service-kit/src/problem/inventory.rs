//! Errors of inventory.

use serde_json::{Value, json};
use stockade_inventory_core::{InventoryError, Shortage};

use super::{Problem, ProblemType};

impl From<InventoryError> for Problem {
    fn from(error: InventoryError) -> Self {
        let detail = error.to_string();
        let of = |kind| Self::new(kind, detail);
        match error {
            InventoryError::Invalid { field, .. } => {
                of(ProblemType::INVALID_VALUE).with("field", field)
            }
            InventoryError::UnknownSku { skus } => {
                let skus: Vec<_> = skus.iter().map(ToString::to_string).collect();
                of(ProblemType::UNKNOWN_SKU)
                    .with("field", "sku")
                    .with("skus", skus)
            }
            InventoryError::Insufficient { shortages } => {
                let shortages: Vec<_> = shortages.iter().map(shortage).collect();
                of(ProblemType::INSUFFICIENT_STOCK)
                    .with("field", "lines")
                    .with("shortages", shortages)
            }
            InventoryError::UnknownReservation { .. } => {
                of(ProblemType::UNKNOWN_RESERVATION).with("field", "id")
            }
            InventoryError::ReservationConflict { .. } => {
                of(ProblemType::IDEMPOTENCY_CONFLICT).with("field", "Idempotency-Key")
            }
            InventoryError::OperationConflict { .. } => {
                of(ProblemType::OPERATION_CONFLICT).with("field", "operation_id")
            }
            InventoryError::WrongState { actual, .. } => of(ProblemType::WRONG_STATE)
                .with("field", "id")
                .with("state", actual.as_str()),
            InventoryError::NotOwner { .. } => of(ProblemType::NOT_OWNER).with("field", "owner"),
            InventoryError::BelowPromised {
                promised, short, ..
            } => of(ProblemType::BELOW_PROMISED)
                .with("promised", promised)
                .with("short", short),
            InventoryError::Busy { retry_after } => Self::overloaded(retry_after),
            other => Self::of_failure(&other, other.retry()),
        }
    }
}

fn shortage(short: &Shortage) -> Value {
    json!({
        "sku": short.sku,
        "location": short.location,
        "requested": short.requested,
        "open": short.open,
    })
}
