//! stockade's inventory inside an axum service that was there before: what `docs/embedding.md`
//! shows is this crate's source, and its tests drive it over HTTP.

#![allow(
    missing_docs,
    unreachable_pub,
    missing_debug_implementations,
    clippy::missing_errors_doc,
    reason = "the document explains it, and shows it without ceremony"
)]

pub mod answer;
pub mod host;
pub mod inventory;
pub mod orders;
pub mod repeat;
pub mod workers;

use std::io;
use std::sync::Arc;

use sqlx::PgPool;
use stockade_change_feed::Publisher;
use stockade_inventory_core::memory::MemoryInventory;
use stockade_postgres::{PostgresFeed, PostgresInventory};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::host::App;
use crate::workers::stopped;

const APP: App = App { name: "lamps" };

/// The service with its stock in memory, until it is told to stop.
pub async fn serve_from_memory(
    listener: TcpListener,
    store: Arc<MemoryInventory>,
    log: Arc<dyn Publisher>,
    stop: watch::Receiver<bool>,
) -> io::Result<()> {
    let (inventory, mut workers) = workers::start(store, log, &stop);
    let router = host::routes().nest("/shop", inventory::routes(inventory));
    let server = axum::serve(listener, router.with_state(APP));
    server.with_graceful_shutdown(stopped(&stop)).await?;
    while workers.join_next().await.is_some() {}
    Ok(())
}

/// The same over Postgres, with orders.
pub async fn serve_from_postgres(
    listener: TcpListener,
    pool: PgPool,
    stop: watch::Receiver<bool>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let store = PostgresInventory::new(pool.clone());
    store.migrate().await?;
    let log = PostgresFeed::new(pool.clone());
    log.migrate().await?;
    let (inventory, mut workers) = workers::start(Arc::new(store.clone()), Arc::new(log), &stop);
    let shop = inventory::routes(inventory.clone());
    let shop = shop.merge(orders::routes(pool, store, inventory));
    let router = host::routes().nest("/shop", shop).with_state(APP);
    let server = axum::serve(listener, router);
    server.with_graceful_shutdown(stopped(&stop)).await?;
    while workers.join_next().await.is_some() {}
    Ok(())
}
