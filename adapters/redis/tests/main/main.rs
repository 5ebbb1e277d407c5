//! The conformance suites and the adapter's own cases, on real servers.

#![allow(clippy::unwrap_used)]

#[cfg(feature = "cache")]
mod cache;
#[cfg(all(feature = "cache", feature = "timer"))]
mod connecting;
mod harness;
#[cfg(feature = "timer")]
mod timer;
