use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use axum::{Json, Router};
use stockade_inventory_core::*;

type Answer<T> = Result<Json<T>, (StatusCode, String)>;
type Wish = (OwnerId, Vec<Line>);

pub fn routes<S: Clone + Send + Sync + 'static>(inventory: Inventory) -> Router<S> {
    Router::new()
        .route("/stock/{sku}", get(stock))
        .route("/reservations", post(reserve))
        .route("/reservations/{id}/confirm", post(confirm))
        .with_state(inventory)
}

async fn stock(shop: State<Inventory>, Path(sku): Path<Sku>) -> Answer<u64> {
    let found = shop.stock(std::slice::from_ref(&sku)).await.map_err(refused)?.remove(0);
    let unknown = InventoryError::UnknownSku { skus: vec![sku] };
    found.map(|stock| Json(stock.available())).ok_or_else(|| refused(unknown))
}

async fn reserve(shop: State<Inventory>, headers: HeaderMap, wish: Json<Wish>) -> Answer<Reservation> {
    let Json((owner, lines)) = wish;
    let key = headers.get("Idempotency-Key").and_then(|key| key.to_str().ok());
    let key = key.ok_or((StatusCode::BAD_REQUEST, "Idempotency-Key is missing".to_owned()))?;
    let (id, lines) = (ReservationId::derived(&owner, key), Lines::new(lines).map_err(refused)?);
    let reserved = shop.reserve(ReserveRequest::new(id, owner, lines)).await.map_err(refused)?;
    Ok(Json(reserved.reservation))
}

async fn confirm(shop: State<Inventory>, Path(id): Path<ReservationId>) -> Answer<Reservation> {
    let confirmed = shop.confirm(&id, ActingFor::Anyone).await.map_err(refused)?;
    Ok(Json(confirmed.reservation))
}

fn refused(error: InventoryError) -> (StatusCode, String) {
    use InventoryError::*;
    let status = match &error {
        Invalid { .. } => StatusCode::BAD_REQUEST,
        UnknownSku { .. } | UnknownReservation { .. } => StatusCode::NOT_FOUND,
        Insufficient { .. } | WrongState { .. } => StatusCode::CONFLICT,
        ReservationConflict { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        Damaged { .. } | Backend { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, error.to_string())
}
