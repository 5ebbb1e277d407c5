//! The conformance suites and the adapter's own cases, on real brokers.

#![allow(clippy::unwrap_used)]

mod conformance;
mod harness;
