#![doc = include_str!("../README.md")]
// Each part uses some of what they share. With all of them, all of it is used.
#![cfg_attr(
    not(all(feature = "catalog", feature = "feed", feature = "inventory")),
    allow(dead_code, unreachable_pub)
)]

#[cfg(feature = "catalog")]
mod catalog;
mod error;
#[cfg(feature = "feed")]
mod feed;
#[cfg(feature = "inventory")]
mod inventory;
mod migrate;
mod names;
mod server;
mod session;

#[cfg(feature = "catalog")]
pub use catalog::PostgresCatalog;
pub use error::PostgresError;
#[cfg(feature = "feed")]
pub use feed::{CapturedTable, PostgresCapture, PostgresFeed, ResetTo, SlotStatus};
#[cfg(feature = "inventory")]
pub use inventory::{Pooled, PostgresInventory, Within};
pub use migrate::{Component, migrate};
pub use names::Schema;
pub use server::{ServerSettings, connect};
pub use session::Timeouts;
