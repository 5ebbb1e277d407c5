use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use stockade_change_feed::Retry;
use stockade_inventory_core::{InventoryError::*, *};

use crate::host::Customer;

pub type Refusal = (StatusCode, String);
pub type Answer = Result<Json<Reservation>, Refusal>;
type Shop = State<Inventory>;

pub fn routes<S: Clone + Send + Sync + 'static>(inventory: Inventory) -> Router<S> {
    Router::new()
        .route("/reservations", post(reserve))
        .route("/reservations/{id}/confirm", post(confirm))
        .with_state(inventory)
}

async fn reserve(
    shop: Shop,
    Customer(owner): Customer,
    headers: HeaderMap,
    Json(lines): Json<Vec<Line>>,
) -> Answer {
    let request = ReserveRequest::repeatable(owner, key(&headers), lines).map_err(refused)?;
    answer(shop.reserve(request).await.map_err(refused)?)
}

async fn confirm(shop: Shop, Customer(owner): Customer, Path(id): Path<ReservationId>) -> Answer {
    let confirmed = shop.confirm(&id, ActingFor::Owner(owner)).await;
    Ok(Json(confirmed.map_err(refused)?.reservation))
}

pub fn key(headers: &HeaderMap) -> &str {
    let key = headers.get("Idempotency-Key");
    key.and_then(|key| key.to_str().ok()).unwrap_or_default()
}

pub fn answer(reserved: Reserved) -> Answer {
    let over = || (StatusCode::CONFLICT, "it is over; ask with another key".to_owned());
    reserved.stands().then_some(Json(reserved.reservation)).ok_or_else(over)
}

pub fn refused(error: InventoryError) -> Refusal {
    let status = match &error {
        Invalid { .. } => StatusCode::BAD_REQUEST,
        NotOwner { .. } | UnknownSku { .. } | UnknownReservation { .. } => StatusCode::NOT_FOUND,
        Insufficient { .. } | WrongState { .. } => StatusCode::CONFLICT,
        ReservationConflict { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        _ if error.retry() == Retry::Never => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, error.to_string())
}
