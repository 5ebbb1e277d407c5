use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use sqlx::PgPool;
use stockade_inventory_core::*;
use stockade_postgres::PostgresInventory;

use crate::answer::{Answer, Refusal};
use crate::host::Customer;
use crate::repeat;

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
) -> Answer<Reservation> {
    let request = repeat::request(owner, &headers, lines)?;
    let mut transaction = pool.begin().await?;
    sqlx::query("INSERT INTO orders (id, customer) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING")
        .bind(request.id.as_str())
        .bind(request.owner.as_str())
        .execute(&mut *transaction)
        .await?;
    let within = store.within(&mut transaction);
    let reserved = within.reserve(&[request]).await.remove(0)?;
    drop(within);
    transaction.commit().await?;
    inventory.committed(&reserved).await;
    repeat::answer(reserved)
}

impl From<sqlx::Error> for Refusal {
    fn from(error: sqlx::Error) -> Self {
        let said = format!("it may have taken effect; send it again with the same key: {error}");
        Self(StatusCode::SERVICE_UNAVAILABLE, said)
    }
}
