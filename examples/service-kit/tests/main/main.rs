//! A service as its clients and its operators see it.

#![allow(clippy::unwrap_used)]

mod config;
#[cfg(all(feature = "catalog", feature = "search"))]
mod cores;
mod deploy;
mod extract;
mod limits;
mod metrics;
mod openapi;
mod problem;
mod process;
mod readiness;
mod running;
mod stopping;
mod tokens;
mod traces;
