//! Orders of the host's own, and what they reserve, over Postgres.

use std::num::NonZeroUsize;
use std::sync::Arc;

use embedding::{inventory, orders, serve_from_postgres};
use sqlx::PgPool;
use stack::{Postgres, Proxy, Server as _};
use stockade_inventory_core::*;
use stockade_postgres::PostgresInventory;
use tokio::sync::watch;

use crate::{A_LAMP, Customer, listen, receive_a_lamp, serve};

/// The host's database: its table, and a lamp in stock.
async fn host(url: &str) -> (PgPool, PostgresInventory) {
    let pool = stockade_postgres::connect(url).await.unwrap();
    let table = "CREATE TABLE orders (id TEXT PRIMARY KEY, customer TEXT NOT NULL)";
    sqlx::query(table).execute(&pool).await.unwrap();
    let store = PostgresInventory::new(pool.clone());
    store.migrate().await.unwrap();
    receive_a_lamp(&store).await;
    (pool, store)
}

async fn customers(pool: &PgPool) -> Vec<String> {
    let customers = sqlx::query_scalar("SELECT customer FROM orders ORDER BY id");
    customers.fetch_all(pool).await.unwrap()
}

async fn reserved(store: &PostgresInventory) -> u64 {
    let lamp = Sku::new("lamp").unwrap();
    let stock = store.stock(&[lamp]).await.unwrap().remove(0);
    stock.unwrap().reserved()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_and_its_reservation_are_kept_together_or_not_at_all() {
    let Some(server) = Postgres::for_test() else {
        return;
    };
    let (pool, store) = host(&server.url()).await;
    let (listener, at) = listen().await;
    let (stop, stopped) = watch::channel(false);
    let serving = tokio::spawn(serve_from_postgres(listener, pool.clone(), stopped));
    let [ada, ben] = ["ada", "ben"].map(|name| Customer { at, name });
    let order = "POST /shop/orders";

    let first = ada.ask(order, "cart-1", A_LAMP).await;
    assert_eq!(first.0, 200, "{first:?}");
    assert_eq!(ada.ask(order, "cart-1", A_LAMP).await, first);
    assert_eq!(ben.status(order, "cart-1", A_LAMP).await, 409, "it is sold");
    assert_eq!(
        customers(&pool).await,
        ["ada"],
        "what is refused leaves no order"
    );
    assert_eq!(reserved(&store).await, 1);

    let confirm = format!("POST /shop/reservations/{}/confirm", ada.id("cart-1"));
    assert_eq!(ada.status(&confirm, "", "").await, 200);
    // The relay has told the log, so nothing is left to be published.
    while !store
        .unpublished(None, NonZeroUsize::MIN)
        .await
        .unwrap()
        .changes
        .is_empty()
    {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    stop.send(true).unwrap();
    serving.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_that_is_over_makes_no_order() {
    let Some(server) = Postgres::for_test() else {
        return;
    };
    let (pool, store) = host(&server.url()).await;
    let inventory = Inventory::new(Arc::new(store.clone()));
    let shop = inventory::routes(inventory.clone());
    let shop = shop.merge(orders::routes(pool.clone(), store, inventory.clone()));
    let at = serve(shop.with_state(())).await;
    let ada = Customer { at, name: "ada" };

    let reserved = ada.status("POST /reservations", "cart-1", A_LAMP).await;
    assert_eq!(reserved, 200);
    let id = ada.id("cart-1");
    inventory.release(&id, ActingFor::Anyone).await.unwrap();
    assert_eq!(ada.status("POST /orders", "cart-1", A_LAMP).await, 409);
    assert_eq!(customers(&pool).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_whose_commit_had_no_reply_is_found_by_its_key() {
    let Some(server) = Postgres::for_test() else {
        return;
    };
    let (direct, store) = host(&server.url()).await;
    let proxy = Proxy::start(server.address()).await.unwrap();
    // No workers: the only COMMIT on this way is the order's.
    let pool = stockade_postgres::connect(&server.url_at(proxy.address()))
        .await
        .unwrap();
    let disturbed = PostgresInventory::new(pool.clone());
    let inventory = Inventory::new(Arc::new(disturbed.clone()));
    let router = orders::routes(pool, disturbed, inventory).with_state(());
    let (at, order) = (serve(router).await, "POST /orders");
    let ada = Customer { at, name: "ada" };

    proxy.lose_reply_to("COMMIT");
    let unknown = ada.ask(order, "cart-1", A_LAMP).await;
    assert_eq!(unknown.0, 503, "{unknown:?}");
    assert!(unknown.1.contains("same key"), "{unknown:?}");
    assert_eq!(customers(&direct).await, ["ada"], "it did take effect");

    let found = ada.ask(order, "cart-1", A_LAMP).await;
    assert_eq!(found.0, 200, "{found:?}");
    assert_eq!(customers(&direct).await, ["ada"], "it is one order");
    assert_eq!(reserved(&store).await, 1, "and one lamp");
}
