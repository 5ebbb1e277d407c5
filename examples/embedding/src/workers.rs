use std::sync::Arc;

use stockade_change_feed::{Publisher, SystemClock};
use stockade_inventory_core::memory::MemoryTimer;
use stockade_inventory_core::workers::{ExpiryWorker, OutboxRelay, Retention};
use stockade_inventory_core::{Inventory, InventoryStore, StockOutbox, StockRetention};
use tokio::sync::watch;
use tokio::task::JoinSet;

pub fn start<S>(
    store: Arc<S>,
    log: Arc<dyn Publisher>,
    stop: &watch::Receiver<bool>,
) -> (Inventory, JoinSet<()>)
where
    S: InventoryStore + StockOutbox + StockRetention + 'static,
{
    let timer = Arc::new(MemoryTimer::new(Arc::new(SystemClock::new())));
    let inventory = Inventory::new(store.clone()).with_timer(timer.clone());

    let mut workers = JoinSet::new();
    workers.spawn(ExpiryWorker::new(store.clone(), timer).run(stopped(stop)));
    workers.spawn(OutboxRelay::new(store.clone(), store.clone(), log).run(stopped(stop)));
    workers.spawn(Retention::new(store).run(stopped(stop)));
    (inventory, workers)
}

pub fn stopped(stop: &watch::Receiver<bool>) -> impl Future<Output = ()> + Send + use<> {
    let mut stop = stop.clone();
    async move { drop(stop.wait_for(|stop| *stop).await) }
}
