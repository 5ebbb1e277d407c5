//! Products in Postgres.

mod conformance;
