//! Time and random numbers. All code that waits, retries or uses chance does it through this
//! module, so that a simulator with its own [`Clock`] and a [seed](chance::seed_thread) can repeat
//! a whole run.
//!
//! - [`Clock`] returns the time, and sleeps.
//! - [`Deadline`] limits a call, and repeats it until it succeeds or the time is over.
//! - [`Backoff`] computes the pause between attempts.
//! - [`Stop`] ends all loops of a worker at once.

mod backoff;
pub mod chance;
mod clock;
mod deadline;
mod stop;

pub use backoff::{Backoff, jittered};
pub use clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use deadline::{Deadline, one_for_each};
pub use stop::Stop;
