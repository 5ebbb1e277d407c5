//! The metrics of the shop itself.

use metrics::{Unit, gauge};
use service_kit::telemetry::{self, Description};

use crate::shop::Shop;

const CIRCUIT: &str = "storefront_circuit";
const LAG_RECORDS: &str = "storefront_consumer_lag_records";
const LAG_SECONDS: &str = "storefront_consumer_lag_seconds";

const OWN: &[Description] = &[
    Description::gauge(
        CIRCUIT,
        Unit::Count,
        "1 for the current state of the availability circuit, 0 for the other states",
    ),
    Description::gauge(
        LAG_RECORDS,
        Unit::Count,
        "Unread records, by consumer group",
    ),
    Description::gauge(
        LAG_SECONDS,
        Unit::Seconds,
        "Age of the oldest unread record, by consumer group",
    ),
];

/// Describes the metrics of the shop and of all crates that it uses.
pub(crate) fn describe() {
    for group in [
        OWN,
        telemetry::FEED,
        telemetry::INVENTORY,
        telemetry::CATALOG,
        telemetry::AVAILABILITY,
        telemetry::SEARCH,
        telemetry::TANTIVY,
        telemetry::CAPTURE,
        telemetry::KAFKA,
        telemetry::REDIS,
    ] {
        telemetry::describe(group);
    }
}

/// Sets the gauges to the state of the shop.
pub(crate) async fn set_gauges(shop: &Shop) {
    let health = shop.health().await;
    telemetry::set_circuit(CIRCUIT, health.circuit);
    for lag in health.lag {
        // NaN where the log can't say.
        let records = lag.records.map_or(f64::NAN, |records| records as f64);
        let seconds = lag.age.map_or(f64::NAN, |age| age.as_secs_f64());
        gauge!(LAG_RECORDS, "group" => lag.group.clone()).set(records);
        gauge!(LAG_SECONDS, "group" => lag.group).set(seconds);
    }
}
