//! The conformance suites and the adapter's own cases, on real brokers.

#![allow(clippy::unwrap_used)]

mod brokers;
mod conformance;
mod harness;
mod java;
mod member;
mod raw;
mod records;
mod security;
mod sizes;
mod topics;
mod traps;
mod worker;
