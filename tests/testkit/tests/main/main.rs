//! The suites themselves: what keeps the rules passes, and what breaks one fails where it should.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod cache;
mod catalog;
mod fails;
mod flawed_feed;
mod flaws;
mod harnesses;
mod index;
mod inventory;
mod search;

use harnesses::Memory;

stockade_testkit::publisher_conformance!(memory_publisher, Memory);
stockade_testkit::feed_conformance!(memory_feed, Memory);
stockade_testkit::feed_reopen_conformance!(memory_feed_kept, Memory);
stockade_testkit::feed_retention_conformance!(memory_feed_retention, Memory);
