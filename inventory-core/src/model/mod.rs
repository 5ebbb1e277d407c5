//! The values that stores, hosts and the decisions share. Their constructors check them.

mod ids;
mod movement;
mod outcome;
mod request;
mod reservation;
mod stock;

pub use ids::{LocationId, OperationId, OwnerId, Quantity, Reason, ReservationId, Sku};
pub use movement::{Movement, MovementCause, StockChange};
pub use outcome::{Adjusted, Effect, Expiry, Purged, Reserved, Rest, Sweep, Transitioned};
pub use request::{
    ActingFor, Adjustment, Asked, Durability, ExtendRequest, Line, Lines, ReserveRequest,
    Transition, TransitionRequest, Ttl,
};
pub use reservation::{Reservation, ReservationState, ReservedLine};
pub use stock::{Counts, Delta, SkuStock, StockLevel, Version};
