//! stockade over Postgres.

mod catalog;
mod error;
mod inventory;
mod migrate;
mod server;
mod session;

pub use catalog::PostgresCatalog;
pub use error::PostgresError;
pub use inventory::{Pooled, PostgresInventory, Within};
pub use migrate::{Component, Schema, migrate};
pub use server::{ServerSettings, connect};
pub use session::Timeouts;
