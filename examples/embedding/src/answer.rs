use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use stockade_inventory_core::InventoryError;

pub type Answer<T> = Result<Json<T>, Refusal>;

pub struct Refusal(pub StatusCode, pub String);

impl From<InventoryError> for Refusal {
    fn from(error: InventoryError) -> Self {
        use InventoryError::*;
        let status = match &error {
            Invalid { .. } => StatusCode::BAD_REQUEST,
            NotOwner { .. } => StatusCode::FORBIDDEN,
            UnknownSku { .. } | UnknownReservation { .. } => StatusCode::NOT_FOUND,
            Insufficient { .. } | WrongState { .. } => StatusCode::CONFLICT,
            ReservationConflict { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Damaged { .. } | Backend { .. } => StatusCode::INTERNAL_SERVER_ERROR,
            _ => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self(status, error.to_string())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, self.1).into_response()
    }
}
