#![doc = include_str!("../README.md")]

pub mod book;
mod error;
mod events;
mod ids;
mod inventory;
pub mod memory;
#[cfg(feature = "mock")]
pub mod mock;
mod reservation;
mod stock;
mod store;
mod telemetry;
pub mod workers;

pub use error::{InventoryError, Shortage};
pub use events::{Heartbeat, StockChanged, StockEvent, inventory_updates};
pub use ids::{LocationId, OperationId, OwnerId, Quantity, Reason, ReservationId, Sku};
pub use inventory::Inventory;
pub use reservation::{
    ActingFor, Adjusted, Adjustment, Asked, Durability, Effect, Expiry, ExtendRequest, Line, Lines,
    Reservation, ReservationState, ReserveRequest, Reserved, ReservedLine, Transition,
    TransitionRequest, Transitioned, Ttl,
};
pub use stock::{
    Counts, Delta, Movement, MovementCause, SkuStock, StockChange, StockLevel, Version,
};
pub use store::{
    Cursor, InventoryStore, MovementPage, OutboxPage, ReservationTimer, StockOutbox, StockPage,
    StockRetention, StockSource,
};
