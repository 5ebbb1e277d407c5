//! The metrics of the service itself.

use std::time::Duration;

use metrics::{Unit, gauge};
use service_kit::telemetry::{self, Description};
use stockade_catalog_core::{Availability, CircuitState};
use stockade_change_feed::Feed as _;

use crate::backends::StockLog;

const CIRCUIT: &str = "catalog_service_circuit";
const LAG_RECORDS: &str = "catalog_service_lag_records";
const LAG_SECONDS: &str = "catalog_service_lag_seconds";

/// The longest time that `/metrics` waits for Kafka.
const LAG_WITHIN: Duration = Duration::from_secs(1);

const OWN: &[Description] = &[
    Description::gauge(
        CIRCUIT,
        Unit::Count,
        "1 for the current state of the availability circuit, 0 for the other states",
    ),
    Description::gauge(
        LAG_RECORDS,
        Unit::Count,
        "Changes of stock that are not in the cache yet",
    ),
    Description::gauge(
        LAG_SECONDS,
        Unit::Seconds,
        "Age of the oldest change of stock that is not in the cache yet",
    ),
];

/// Describes the metrics of the service and of all crates that it uses.
pub(crate) fn describe() {
    for group in [
        OWN,
        telemetry::FEED,
        telemetry::CATALOG,
        telemetry::AVAILABILITY,
        telemetry::HTTP,
        telemetry::KAFKA,
        telemetry::REDIS,
    ] {
        telemetry::describe(group);
    }
}

pub(crate) fn set_circuit(availability: &Availability) {
    let current = availability.circuit();
    for state in [
        CircuitState::Closed,
        CircuitState::HalfOpen,
        CircuitState::Open,
    ] {
        gauge!(CIRCUIT, "state" => state.as_str()).set(u8::from(state == current));
    }
}

/// NaN where Kafka does not answer.
pub(crate) async fn set_lag(log: &StockLog) {
    let (feed, topics) = (log.kafka.feed(), [log.kafka.topic().clone()]);
    let read = tokio::time::timeout(LAG_WITHIN, feed.lag(&log.group, &topics)).await;
    let lags = read.ok().and_then(Result::ok);
    let lags = lags.as_deref();
    let records: Option<u64> = lags.and_then(|all| all.iter().map(|one| one.records).sum());
    let ages: Option<Vec<_>> = lags.and_then(|all| all.iter().map(|one| one.age).collect());
    let age = ages.map(|ages| ages.into_iter().max().unwrap_or_default());
    gauge!(LAG_RECORDS).set(records.map_or(f64::NAN, |records| records as f64));
    gauge!(LAG_SECONDS).set(age.map_or(f64::NAN, |age| age.as_secs_f64()));
}
