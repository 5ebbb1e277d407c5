//! The loops that run next to a store.
//!
//! - [`ExpiryWorker`] expires reservations whose deadline has passed, so that their units come
//!   back.
//! - [`OutboxRelay`] publishes stock events.
//! - [`Retention`] removes old reservations and movements.
//!
//! Each worker is a future. The host runs it on its own runtime, until another future is ready. No
//! task is spawned. Any number of each worker may run, in any number of processes.

mod expiry;
mod progress;
mod relay;
mod retention;
mod wake;

pub use expiry::ExpiryWorker;
pub use relay::{OutboxRelay, Pass};
pub use retention::{Retention, RetentionPass};
pub use wake::Wake;
