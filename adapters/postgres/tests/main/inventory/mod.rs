//! Stock and reservations.

mod conformance;
