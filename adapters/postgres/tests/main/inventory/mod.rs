//! Stock and reservations.

mod agreement;
mod conformance;
mod crash;
mod faults;
mod migrations;
mod outbox;
mod plans;
mod shop;
mod sweeps;
mod within;
