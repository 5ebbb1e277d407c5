//! stockade over Postgres.

mod error;
mod migrate;
mod server;
mod session;

pub use error::PostgresError;
pub use migrate::{Component, Schema, migrate};
pub use server::{ServerSettings, connect};
pub use session::Timeouts;
