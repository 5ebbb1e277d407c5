//! The loops that run beside a store: [`ExpiryWorker`] gives back what ran out of time,
//! [`OutboxRelay`] publishes what changed.
//!
//! Each runs in its caller's task until a future ends it, and any number may run at once.

mod expiry;
mod halt;
mod relay;

pub use expiry::ExpiryWorker;
pub use relay::{OutboxRelay, Pass};
