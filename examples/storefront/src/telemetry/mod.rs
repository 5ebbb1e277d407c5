//! What Prometheus is told.

mod descriptions;

pub use self::descriptions::describes_metric;

use std::future::Future;
use std::sync::OnceLock;
use std::time::Duration;

use metrics::gauge;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use stockade_catalog_core::CircuitState;

use crate::shop::Shop;

/// Requests by `method`, `route` and `status`.
pub(crate) const HTTP_REQUESTS: &str = "storefront_http_requests_total";
/// How long until an answer began, by `method` and `route`.
pub(crate) const HTTP_SECONDS: &str = "storefront_http_request_seconds";
const CIRCUIT: &str = "storefront_circuit";
const LAG_RECORDS: &str = "storefront_consumer_lag_records";
const LAG_SECONDS: &str = "storefront_consumer_lag_seconds";
const FAILED_WORKERS: &str = "storefront_failed_workers";
const RESIDENT: &str = "process_resident_memory_bytes";
const RESIDENT_MOST: &str = "process_resident_memory_max_bytes";

/// Upper ends of the buckets of durations.
const SECONDS: [f64; 14] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
];
/// How often what was recorded is put into buckets, so that it takes no room while nobody asks.
const UPKEEP: Duration = Duration::from_secs(5);

/// All shops of a process share its one recorder.
fn exporter() -> &'static PrometheusHandle {
    static EXPORTER: OnceLock<PrometheusHandle> = OnceLock::new();
    EXPORTER.get_or_init(|| {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
            .expect("there are buckets")
            .build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("this process records its metrics elsewhere; /metrics stays empty");
        }
        descriptions::describe();
        handle
    })
}

/// Keeps what was recorded small until `stop`.
pub(crate) async fn keep_up(stop: impl Future<Output = ()>) {
    let exporter = exporter();
    let upkeep = async {
        loop {
            tokio::time::sleep(UPKEEP).await;
            exporter.run_upkeep();
        }
    };
    tokio::select! {
        () = stop => {}
        () = upkeep => {}
    }
}

/// Everything recorded so far, and how the shop is now, in Prometheus' text format.
pub(crate) async fn render(shop: &Shop) -> String {
    let exporter = exporter();
    let health = shop.health().await;
    let states = [
        CircuitState::Closed,
        CircuitState::HalfOpen,
        CircuitState::Open,
    ];
    for state in states {
        let is = u8::from(state == health.circuit);
        gauge!(CIRCUIT, "state" => state.as_str()).set(is);
    }
    for lag in health.lag {
        // What the log can't say is no number.
        let records = lag.records.map_or(f64::NAN, |records| records as f64);
        let seconds = lag.age.map_or(f64::NAN, |age| age.as_secs_f64());
        gauge!(LAG_RECORDS, "group" => lag.group.clone()).set(records);
        gauge!(LAG_SECONDS, "group" => lag.group).set(seconds);
    }
    gauge!(FAILED_WORKERS).set(u8::from(health.failed_worker.is_some()));
    for (name, member) in [(RESIDENT, "VmRSS:"), (RESIDENT_MOST, "VmHWM:")] {
        if let Some(bytes) = memory(member) {
            gauge!(name).set(bytes);
        }
    }
    exporter.render()
}

/// What Linux says of this process's memory, in bytes.
fn memory(member: &str) -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(member))?;
    let kibibytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024.0)
}
