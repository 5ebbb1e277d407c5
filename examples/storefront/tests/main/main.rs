//! The shop as its users see it: over HTTP.

#![allow(clippy::unwrap_used)]

mod browser;
mod catalogue;
mod client;
mod durable;
mod front;
mod hostile;
mod import;
mod limits;
mod metrics;
mod openapi;
mod page;
mod reservations;
mod restart;
mod servers;
mod start;
mod unreachable;
