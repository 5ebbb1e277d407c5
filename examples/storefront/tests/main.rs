//! The shop as its users see it: over HTTP.

#![allow(missing_docs)]

mod catalogue;
mod client;
mod hostile;
mod import;
mod reservations;
mod unreachable;
