use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::routing::{get, post};
use axum::{Json, Router};
use stockade_inventory_core::*;

use crate::answer::Answer;
use crate::host::Customer;
use crate::repeat;

pub fn routes<S: Clone + Send + Sync + 'static>(inventory: Inventory) -> Router<S> {
    Router::new()
        .route("/stock/{sku}", get(stock))
        .route("/reservations", post(reserve))
        .route("/reservations/{id}/confirm", post(confirm))
        .route("/reservations/{id}/release", post(release))
        .with_state(inventory)
}

type Shop = State<Inventory>;

async fn stock(shop: Shop, Path(sku): Path<Sku>) -> Answer<u64> {
    let stock = shop.stock(std::slice::from_ref(&sku)).await?.remove(0);
    let stock = stock.ok_or(InventoryError::UnknownSku { skus: vec![sku] })?;
    Ok(Json(stock.available()))
}

async fn reserve(
    shop: Shop,
    Customer(owner): Customer,
    headers: HeaderMap,
    Json(lines): Json<Vec<Line>>,
) -> Answer<Reservation> {
    let request = repeat::request(owner, &headers, lines)?;
    repeat::answer(shop.reserve(request).await?)
}

type Id = Path<ReservationId>;

async fn confirm(shop: Shop, Customer(owner): Customer, id: Id) -> Answer<Reservation> {
    let confirmed = shop.confirm(&id, ActingFor::Owner(owner)).await?;
    Ok(Json(confirmed.reservation))
}

async fn release(shop: Shop, Customer(owner): Customer, id: Id) -> Answer<Reservation> {
    let released = shop.release(&id, ActingFor::Owner(owner)).await?;
    Ok(Json(released.reservation))
}
