//! stockade's inventory inside an axum service that was there before: what `docs/embedding.md`
//! shows is this crate's source, and its tests drive it over HTTP.

#[rustfmt::skip]
#[allow(
    unreachable_pub,
    clippy::needless_pass_by_value,
    reason = "the document shows it without ceremony"
)]
mod inventory;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use stockade_change_feed::{Publisher, SystemClock};
use stockade_inventory_core::Inventory;
use stockade_inventory_core::memory::{MemoryInventory, MemoryTimer};
use stockade_inventory_core::workers::{ExpiryWorker, OutboxRelay, Retention};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What the service had before.
#[derive(Clone, Debug)]
pub struct App {
    /// Shown at `/`.
    pub name: &'static str,
}

/// Serves until `stopped` says so, and ends what works beside it. The store is the caller's, and
/// so is the log that stock events go to.
///
/// # Errors
/// Where the listener fails.
pub async fn serve(
    listener: TcpListener,
    store: MemoryInventory,
    log: Arc<dyn Publisher>,
    stopped: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let stop = || {
        let mut stopped = stopped.clone();
        async move { drop(stopped.wait_for(|stopped| *stopped).await) }
    };
    let store = Arc::new(store);
    let timer = Arc::new(MemoryTimer::new(Arc::new(SystemClock::new())));
    let inventory = Inventory::new(store.clone()).with_timer(timer.clone());

    let mut workers = JoinSet::new();
    workers.spawn(ExpiryWorker::new(store.clone(), timer).run(stop()));
    workers.spawn(OutboxRelay::new(store.clone(), store.clone(), log).run(stop()));
    workers.spawn(Retention::new(store).run(stop()));

    let router = Router::new()
        .route(
            "/",
            get(|app: axum::extract::State<App>| async move { app.name }),
        )
        .nest("/shop", inventory::routes(inventory))
        .with_state(App { name: "lamps" });
    axum::serve(listener, router)
        .with_graceful_shutdown(stop())
        .await?;
    while workers.join_next().await.is_some() {}
    Ok(())
}
