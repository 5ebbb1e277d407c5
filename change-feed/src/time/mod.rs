//! Time and chance: all that waits, retries or draws lots does it through this module, so that a
//! simulator with a [`Clock`] of its own and a [seed](chance::seed_thread) repeats a whole system.
//!
//! - [`Clock`] says what time it is, and sleeps.
//! - [`Deadline`] bounds a call, and repeats it until it succeeds or time is up.
//! - [`Backoff`] is how long to pause between attempts.
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
