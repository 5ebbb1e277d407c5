//! The checker finds every broken promise, and Postgres keeps them all.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod flawed;
mod flaws;
mod replies;
mod server;
mod silence;
mod trials;
