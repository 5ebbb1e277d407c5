//! The metrics of the service itself.

use metrics::Unit;
use service_kit::telemetry::{self, Description};
use stockade_catalog_core::Availability;

const CIRCUIT: &str = "catalog_service_circuit";

const OWN: &[Description] = &[Description::gauge(
    CIRCUIT,
    Unit::Count,
    "1 for the current state of the availability circuit, 0 for the other states",
)];

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
    telemetry::set_circuit(CIRCUIT, availability.circuit());
}
