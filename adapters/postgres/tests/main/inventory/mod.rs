//! Stock and reservations.

mod agreement;
mod conformance;
mod crash;
mod faults;
mod migrations;
mod outbox;
mod shop;
mod sweeps;
mod within;
