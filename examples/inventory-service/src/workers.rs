//! The background work of a role.

use service_kit::Workers;
use stockade_inventory_core::workers::{ExpiryWorker, OutboxRelay, Retention};

use crate::backends::Backends;
use crate::options::{Options, Role};

/// Spawns the workers of the role.
pub(crate) fn spawn(options: &Options, backends: &Backends, workers: &mut Workers) {
    let (role, store) = (options.role, &backends.store);
    if let Some(publisher) = backends.publisher() {
        let relay = OutboxRelay::new(store.clone(), store.clone(), publisher)
            .with_topic(options.kafka.kafka_topic.clone());
        workers.spawn("outbox relay", |stop| relay.run(stop));
    }
    if let (true, Some(timers)) = (role.runs(Role::Expiry), &backends.timers) {
        // Two, so that one can expire reservations while the other waits for the store.
        for _ in 0..2 {
            let expiry = ExpiryWorker::new(store.clone(), timers.clone());
            workers.spawn("expiry", |stop| expiry.run(stop));
        }
    }
    if role.runs(Role::Retention) {
        let retention = Retention::new(store.clone())
            .with_reservations_kept(options.keep_reservations)
            .with_movements_kept(options.keep_movements);
        workers.spawn("retention", |stop| retention.run(stop));
    }
}
