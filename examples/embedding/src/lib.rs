//! stockade's inventory inside an axum service that was there before: what `docs/embedding.md`
//! shows is this crate's source, and its tests drive it over HTTP.

#![allow(
    missing_docs,
    unreachable_pub,
    missing_debug_implementations,
    clippy::missing_errors_doc,
    clippy::needless_pass_by_value,
    reason = "the document explains it, and shows it without ceremony"
)]

pub mod host;
#[rustfmt::skip]
pub mod inventory;
pub mod orders;

use std::io;
use std::sync::Arc;

use axum::Router;
use sqlx::PgPool;
use stockade_change_feed::SystemClock;
use stockade_inventory_core::memory::{MemoryInventory, MemoryTimer};
use stockade_inventory_core::workers::{ExpiryWorker, OutboxRelay, Retention};
use stockade_inventory_core::{Inventory, InventoryStore, StockRetention};
use stockade_postgres::{PostgresFeed, PostgresInventory};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::host::App;

const APP: App = App { name: "lamps" };

/// The service's own way to shut down.
type Stop = watch::Receiver<bool>;

fn stopped(stop: &Stop) -> impl Future<Output = ()> + Send + use<> {
    let mut stop = stop.clone();
    async move { drop(stop.wait_for(|stop| *stop).await) }
}

fn start<S>(store: &Arc<S>, stop: &Stop) -> (Inventory, JoinSet<()>)
where
    S: InventoryStore + StockRetention + 'static,
{
    let timer = Arc::new(MemoryTimer::new(Arc::new(SystemClock::new())));
    let inventory = Inventory::new(store.clone()).with_timer(timer.clone());
    let mut workers = JoinSet::new();
    workers.spawn(ExpiryWorker::new(store.clone(), timer).run(stopped(stop)));
    workers.spawn(Retention::new(store.clone()).run(stopped(stop)));
    (inventory, workers)
}

async fn serve(
    listener: TcpListener,
    shop: Router<App>,
    mut workers: JoinSet<()>,
    stop: Stop,
) -> io::Result<()> {
    let router = host::routes().nest("/shop", shop);
    let server = axum::serve(listener, router.with_state(APP));
    server.with_graceful_shutdown(stopped(&stop)).await?;
    while workers.join_next().await.is_some() {}
    Ok(())
}

/// The service with its stock in memory, until it is told to stop.
pub async fn serve_from_memory(
    listener: TcpListener,
    store: Arc<MemoryInventory>,
    stop: Stop,
) -> io::Result<()> {
    let (inventory, workers) = start(&store, &stop);
    serve(listener, inventory::routes(inventory), workers, stop).await
}

/// The same over Postgres, with orders, and with a log that says what changed.
pub async fn serve_from_postgres(
    listener: TcpListener,
    pool: PgPool,
    stop: Stop,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let postgres = PostgresInventory::new(pool.clone());
    postgres.migrate().await?;
    let store = Arc::new(postgres.clone());
    let (inventory, mut workers) = start(&store, &stop);

    let log = PostgresFeed::new(pool.clone());
    log.migrate().await?;
    let relay = OutboxRelay::new(store.clone(), store, Arc::new(log));
    workers.spawn(relay.run(stopped(&stop)));

    let shop = inventory::routes(inventory.clone());
    let shop = shop.merge(orders::routes(pool, postgres, inventory));
    serve(listener, shop, workers, stop).await?;
    Ok(())
}
