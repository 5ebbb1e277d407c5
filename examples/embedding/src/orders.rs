use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use sqlx::PgPool;
use stockade_inventory_core::*;
use stockade_postgres::PostgresInventory;

use crate::host::Customer;
use crate::inventory::{Answer, Refusal, answer, key, refused};

type Orders = State<(PgPool, PostgresInventory, Inventory)>;

pub fn routes<S>(pool: PgPool, store: PostgresInventory, inventory: Inventory) -> Router<S> {
    let orders = (pool, store, inventory);
    Router::new()
        .route("/orders", post(order))
        .with_state(orders)
}

async fn order(
    State((pool, store, inventory)): Orders,
    Customer(owner): Customer,
    headers: HeaderMap,
    Json(lines): Json<Vec<Line>>,
) -> Answer {
    let request = ReserveRequest::repeatable(owner, key(&headers), lines).map_err(refused)?;
    let mut transaction = pool.begin().await.map_err(unclear)?;
    sqlx::query("INSERT INTO orders (id, customer) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING")
        .bind(request.id.as_str())
        .bind(request.owner.as_str())
        .execute(&mut *transaction)
        .await
        .map_err(unclear)?;
    let within = store.within(&mut transaction);
    let reserved = within.reserve(&[request]).await;
    drop(within);
    let reserved = reserved
        .and_then(|mut outcomes| outcomes.remove(0))
        .map_err(refused)?;
    let order = answer(reserved.clone())?;
    transaction.commit().await.map_err(unclear)?;
    inventory.committed(&reserved).await;
    Ok(order)
}

fn unclear(error: sqlx::Error) -> Refusal {
    let said = format!("it may have taken effect; send it again with the same key: {error}");
    (StatusCode::SERVICE_UNAVAILABLE, said)
}
