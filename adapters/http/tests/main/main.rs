//! The suite of a source of stock over a real socket, and what either side does about a bad other
//! side.

#![allow(clippy::unwrap_used, reason = "these are tests")]
#![cfg(all(feature = "client", feature = "routes"))]

mod conformance;
mod encryption;
mod faults;
mod requests;
mod server;
mod stories;
