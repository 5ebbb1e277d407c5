//! The suites themselves: what keeps the rules passes, and what breaks one fails where it should.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod cache;
mod catalog;
mod fails;
mod flawed_feed;
mod flawed_outbox;
mod flawed_retention;
mod flawed_store;
mod flaws;
mod harnesses;
mod index;
mod search;

use harnesses::{Built, Memory};

stockade_testkit::inventory_store_conformance!(memory_store, Memory);
stockade_testkit::stock_outbox_conformance!(memory_outbox, Memory);
stockade_testkit::stock_retention_conformance!(memory_retention, Memory);
stockade_testkit::reservation_timer_conformance!(memory_timer, Memory);
stockade_testkit::inventory_reopen_conformance!(memory_kept, Memory);

stockade_testkit::inventory_store_conformance!(built_on_the_book, Built);
stockade_testkit::inventory_reopen_conformance!(built_on_the_book_kept, Built);
stockade_testkit::stock_retention_conformance!(built_on_the_book_retention, Built);

stockade_testkit::publisher_conformance!(memory_publisher, Memory);
stockade_testkit::feed_conformance!(memory_feed, Memory);
stockade_testkit::feed_reopen_conformance!(memory_feed_kept, Memory);
stockade_testkit::feed_retention_conformance!(memory_feed_retention, Memory);
