//! The background work of a role.

use service_kit::Workers;
use stockade_inventory_core::workers::{ExpiryWorker, OutboxRelay, Retention, Wake};

use crate::backends::Backends;
use crate::options::{Options, Role};

/// Spawns the workers of the role. Returns what wakes the relay, if this process has it.
pub(crate) fn spawn(options: &Options, backends: &Backends, workers: &mut Workers) -> Option<Wake> {
    let (role, store) = (options.role, &backends.store);
    let wake = backends.publisher().map(|publisher| {
        let relay = OutboxRelay::new(store.clone(), store.clone(), publisher)
            .with_topic(options.kafka.kafka_topic.clone());
        let wake = relay.wake();
        workers.spawn("outbox relay", |stop| relay.run(stop));
        wake
    });
    if let (true, Some(timers)) = (role.runs(Role::Expiry), &backends.timers) {
        // Two, so that one can expire reservations while the other waits for the store.
        for _ in 0..2 {
            let mut expiry = ExpiryWorker::new(store.clone(), timers.clone());
            if let Some(wake) = &wake {
                expiry = expiry.with_wake(wake.clone());
            }
            workers.spawn("expiry", |stop| expiry.run(stop));
        }
    }
    if role.runs(Role::Retention) {
        let retention = Retention::new(store.clone())
            .with_reservations_kept(options.keep_reservations)
            .with_movements_kept(options.keep_movements);
        workers.spawn("retention", |stop| retention.run(stop));
    }
    wake
}
