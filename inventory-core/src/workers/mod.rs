//! The loops that run beside a store: [`ExpiryWorker`] gives back what ran out of time,
//! [`OutboxRelay`] publishes what changed, [`Retention`] forgets what is long over.
//!
//! Each runs in its caller's task until a future ends it, and any number may run at once.

mod expiry;
mod relay;
mod retention;

pub use expiry::ExpiryWorker;
pub use relay::{OutboxRelay, Pass};
pub use retention::{Purged, Retention};
