#![doc = include_str!("../README.md")]

pub mod book;
mod error;
mod events;
mod inventory;
pub mod memory;
#[cfg(feature = "mock")]
pub mod mock;
mod model;
mod store;
mod telemetry;
pub mod workers;

pub use error::{InventoryError, Shortage};
pub use events::{Heartbeat, StockChanged, StockEvent, inventory_updates};
pub use inventory::Inventory;
pub use model::{
    ActingFor, Adjusted, Adjustment, Asked, Counts, Delta, Durability, Effect, Expiry,
    ExtendRequest, Line, Lines, LocationId, Movement, MovementCause, OperationId, OwnerId, Purged,
    Quantity, Reason, Reservation, ReservationId, ReservationState, ReserveRequest, Reserved,
    ReservedLine, Rest, Sku, SkuStock, StockChange, StockLevel, Sweep, Transition,
    TransitionRequest, Transitioned, Ttl, Version,
};
pub use store::{
    Cursor, InventoryStore, MovementPage, OutboxPage, ReservationTimer, StockOutbox, StockPage,
    StockRetention, StockSource,
};
