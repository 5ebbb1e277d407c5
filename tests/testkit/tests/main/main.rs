//! The suites themselves: what keeps the rules passes, and what breaks one fails where it should.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod cache;
mod catalog;
mod fails;
mod feed;
mod harnesses;
mod index;
mod inventory;
mod search;
