//! The conformance suites and the adapter's own cases, on real servers.

#![allow(clippy::unwrap_used)]

#[cfg(feature = "cache")]
mod cache;
mod harness;
#[cfg(feature = "timer")]
mod timer;
