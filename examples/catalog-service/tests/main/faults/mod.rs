//! What goes wrong beside and between the services: pages show what is known, and never go back.

mod clocks;
mod killed;
mod late;
mod partition;
mod poison;
mod restored;

use std::time::{Duration, Instant};

use service_kit::testing::{PATIENCE, Process};

use crate::site::{page, shows, sku};

/// The age at which pages stop trusting the cache.
const STALE_AFTER: Duration = Duration::from_secs(6);
const STALE: &str = "--stale-after=6s";
/// Time for a request on a busy machine.
const SLACK: Duration = Duration::from_secs(3);

/// The partitions that a worker was assigned.
const ASSIGNED: &str = "stockade_kafka_partitions_assigned_total";

/// Waits until pages turn to inventory, with these units of the first variants. Until then, no page
/// may show a cache that is older than the threshold.
async fn turns_to_inventory(catalog: &Process, available: &[u64]) {
    let began = Instant::now();
    while !(shows(catalog, "inventory", available).await && trusts_no_cache(catalog).await) {
        let waited = began.elapsed();
        assert!(waited < PATIENCE, "the page is old for {waited:?}");
        for item in page(catalog).await {
            let old = item.source == "cache" && item.age.unwrap() > STALE_AFTER.as_secs_f64();
            assert!(!old, "{item:?}");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Whether the circuit is open. A single page is also from inventory when the cache does not answer it
/// in time.
async fn trusts_no_cache(catalog: &Process) -> bool {
    let one = catalog.read(&format!("/availability?sku={}", sku(1))).await;
    one["circuit"] == "open"
}
