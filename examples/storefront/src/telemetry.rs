//! The metrics of the shop itself.

use metrics::Unit;
use service_kit::telemetry::{self, Description};

use crate::shop::Shop;

const CIRCUIT: &str = "storefront_circuit";

const OWN: &[Description] = &[Description::gauge(
    CIRCUIT,
    Unit::Count,
    "1 for the current state of the availability circuit, 0 for the other states",
)];

/// Metrics of what a shop and a front have.
const COMMON: [&[Description]; 5] = [
    telemetry::FEED,
    telemetry::SEARCH,
    telemetry::TANTIVY,
    telemetry::CAPTURE,
    telemetry::KAFKA,
];

/// Describes the metrics of the shop and of all crates that it uses.
pub(crate) fn describe() {
    let more = [
        OWN,
        telemetry::INVENTORY,
        telemetry::CATALOG,
        telemetry::AVAILABILITY,
        telemetry::REDIS,
    ];
    for group in COMMON.into_iter().chain(more) {
        telemetry::describe(group);
    }
}

/// Describes the metrics of a front.
pub(crate) fn describe_front() {
    for group in COMMON.into_iter().chain([telemetry::HTTP]) {
        telemetry::describe(group);
    }
}

/// Sets the gauge of the availability circuit.
pub(crate) fn set_circuit(shop: &Shop) {
    telemetry::set_circuit(CIRCUIT, shop.availability.circuit());
}
