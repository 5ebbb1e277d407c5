//! Products in Postgres.

mod conformance;
mod migrations;
mod queries;
