//! Records metrics, and renders them for Prometheus.

use std::future::Future;
use std::sync::OnceLock;
use std::time::Duration;

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
#[cfg(feature = "catalog")]
use stockade_catalog_core::CircuitState;

use super::descriptions::{Description, Kind, SERVICE};
use super::{FAILED_WORKERS, RESIDENT, RESIDENT_MAX};
use crate::readiness::Readiness;

/// Upper bounds of the buckets of durations, in seconds.
const SECONDS: [f64; 14] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
];
/// Time between two passes that move recorded durations into buckets, so that their memory stays
/// small even if no one reads the metrics.
const UPKEEP: Duration = Duration::from_secs(5);

/// The recorder of the process, which all its services share.
fn exporter() -> &'static PrometheusHandle {
    static EXPORTER: OnceLock<PrometheusHandle> = OnceLock::new();
    EXPORTER.get_or_init(|| {
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
            .expect("there are buckets")
            .build_recorder();
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("this process has another recorder of metrics; /metrics is empty");
        }
        add(SERVICE);
        handle
    })
}

/// Starts to record metrics, unless it has started.
pub(crate) fn start() {
    exporter();
}

/// Sets a gauge by `state` to the state of the availability circuit: 1 for the current one, 0 for the
/// others.
#[cfg(feature = "catalog")]
pub fn set_circuit(gauge: &'static str, current: CircuitState) {
    for state in [
        CircuitState::Closed,
        CircuitState::HalfOpen,
        CircuitState::Open,
    ] {
        gauge!(gauge, "state" => state.as_str()).set(u8::from(state == current));
    }
}

/// Starts to record metrics, and describes some: `/metrics` has their help and unit.
///
/// Counters without labels exist from now on, with 0, so that Prometheus sees the first increment.
pub fn describe(descriptions: &[Description]) {
    exporter();
    add(descriptions);
}

fn add(descriptions: &[Description]) {
    for &Description { name, kind, help } in descriptions {
        match kind {
            Kind::Counter => {
                describe_counter!(name, metrics::Unit::Count, help);
                counter!(name).increment(0);
            }
            Kind::LabelledCounter => describe_counter!(name, metrics::Unit::Count, help),
            Kind::Seconds => describe_histogram!(name, metrics::Unit::Seconds, help),
            Kind::Gauge(unit) => describe_gauge!(name, unit, help),
        }
    }
}

/// Keeps the memory of recorded durations small, until `stop` ends. A worker of every
/// [`Service`](crate::Service).
pub async fn upkeep(stop: impl Future<Output = ()>) {
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

/// Everything recorded so far, in Prometheus' text format.
pub(crate) fn render(readiness: &Readiness) -> String {
    gauge!(FAILED_WORKERS).set(readiness.failed_workers().len() as f64);
    for (name, member) in [(RESIDENT, "VmRSS:"), (RESIDENT_MAX, "VmHWM:")] {
        if let Some(bytes) = memory(member) {
            gauge!(name).set(bytes);
        }
    }
    exporter().render()
}

/// A memory value of this process, in bytes, as Linux reports it.
fn memory(member: &str) -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(member))?;
    let kibibytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024.0)
}
