//! Products in Postgres.

mod conformance;
mod queries;
