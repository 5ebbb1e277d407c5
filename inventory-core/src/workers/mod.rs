//! The loops that run beside a store.
//!
//! - [`ExpiryWorker`] gives back the units of reservations whose deadline has passed.
//! - [`OutboxRelay`] publishes what changed.
//! - [`Retention`] removes what is long finished.
//!
//! Each is a future that the host runs where it likes, until another future ends it. Nothing is
//! spawned. Any number of each may run, in any number of processes.

mod expiry;
mod progress;
mod relay;
mod retention;

pub use expiry::ExpiryWorker;
pub use relay::{OutboxRelay, Pass};
pub use retention::{Retention, RetentionPass};
