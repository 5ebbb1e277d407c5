//! The service as its users and operators see it: as processes over real servers.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod options;
mod process;
mod story;
