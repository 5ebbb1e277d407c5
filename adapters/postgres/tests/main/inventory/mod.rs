//! Stock and reservations.

mod agreement;
mod conformance;
mod faults;
mod migrations;
mod shop;
mod sweeps;
mod within;
