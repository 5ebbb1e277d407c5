//! The stock that pages show: how it gets into the cache, and how it is read.

use std::sync::Arc;

use service_kit::Workers;
use stockade_catalog_core::{Availability, AvailabilityRefill, AvailabilityWorker, CircuitConfig};
use stockade_change_feed::{Consumer, DeadLetters, LagReport};

use crate::backends::{Backends, StockLog};
use crate::options::Options;

/// Spawns what keeps the cache up to date: the worker that follows changes of stock, and the refill
/// of a cache that is new, was emptied or has lost writes.
pub(crate) fn follow(log: &StockLog, backends: &Backends, workers: &mut Workers) {
    let StockLog {
        kafka,
        group,
        dead_letters,
    } = log.clone();
    let topics = vec![kafka.topic().clone()];
    let handler = Arc::new(AvailabilityWorker::new(backends.cache.clone()));
    let lag = LagReport::new(kafka.feed(), group.clone(), topics.clone());
    workers.spawn("lag report", |stop| lag.run(stop));
    let consumer = Consumer::new(kafka.feed(), group, topics, handler)
        .with_dead_letters(DeadLetters::new(kafka.publisher(), dead_letters));
    workers.spawn("availability", |stop| consumer.run(stop));
    let refill = AvailabilityRefill::new(backends.cache.clone(), backends.inventory.clone());
    workers.spawn("refill", |stop| refill.run(stop));
}

/// The stock that pages show. A process that also follows changes of stock knows by how much it is
/// behind, which is a second measure of the age of the cache.
pub(crate) fn shown(
    options: &Options,
    backends: &Backends,
    workers: &mut Workers,
) -> Arc<Availability> {
    let circuit = CircuitConfig::default()
        .with_open_after(options.stale_after)
        .with_close_below(options.stale_after / 3);
    let availability =
        Availability::new(backends.cache.clone(), backends.inventory.clone()).with_circuit(circuit);
    let availability = Arc::new(availability);
    if let Some(StockLog { kafka, group, .. }) = backends.log.clone() {
        let availability = availability.clone();
        let (feed, topics) = (kafka.feed(), [kafka.topic().clone()]);
        workers.spawn("lag watch", |stop| async move {
            availability
                .watch_lag(feed.as_ref(), &group, &topics, stop)
                .await;
        });
    }
    availability
}
