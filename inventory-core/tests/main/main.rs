//! The services and workers, over stores, timers and logs that fail on purpose.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod expiry;
mod faults;
mod forwarding;
mod inventory;
mod memory;
mod relay;
mod retention;
mod shop;
