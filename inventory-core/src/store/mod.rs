//! The traits that a store of stock implements.
//!
//! Each trait is also implemented for `&T`, `Box<T>` and `Arc<T>`, if `T` implements it.

mod cursor;
mod inventory;
mod outbox;
mod retention;
mod source;
mod timer;

pub use cursor::Cursor;
pub use inventory::{InventoryStore, MovementPage};
pub use outbox::{OutboxPage, StockOutbox};
pub use retention::StockRetention;
pub use source::{StockPage, StockSource};
pub use timer::ReservationTimer;

#[cfg(feature = "mock")]
pub use {retention::MockStockRetention, timer::MockReservationTimer};
