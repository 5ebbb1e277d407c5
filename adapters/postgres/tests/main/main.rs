//! The conformance suites and the adapter's own cases, on a real server.

#![allow(clippy::unwrap_used)]

mod catalog;
mod connecting;
mod feed;
mod harness;
mod inventory;
