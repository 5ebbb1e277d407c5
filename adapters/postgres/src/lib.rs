#![doc = include_str!("../README.md")]

mod catalog;
mod error;
mod feed;
mod inventory;
mod migrate;
mod names;
mod server;
mod session;

pub use catalog::PostgresCatalog;
pub use error::PostgresError;
pub use feed::{CapturedTable, PostgresCapture, PostgresFeed, ResetTo, SlotStatus};
pub use inventory::{Pooled, PostgresInventory, Within};
pub use migrate::{Component, migrate};
pub use names::Schema;
pub use server::{ServerSettings, connect};
pub use session::Timeouts;
