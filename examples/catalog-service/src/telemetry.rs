//! The metrics of the service itself.

use metrics::{Unit, gauge};
use service_kit::telemetry::{self, Description};
use stockade_catalog_core::{Availability, CircuitState};

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
    let current = availability.circuit();
    for state in [
        CircuitState::Closed,
        CircuitState::HalfOpen,
        CircuitState::Open,
    ] {
        gauge!(CIRCUIT, "state" => state.as_str()).set(u8::from(state == current));
    }
}
