//! The suites for logs: a log that keeps the rules passes, and each flawed log fails in the case
//! that names its rule.

mod crashes;
mod file;
mod flawed;
mod flawed_member;
mod flaws;

pub(crate) use flawed::{FeedFlaw, FlawedFeed, SharedFlawed};

use crate::harnesses::Memory;

stockade_testkit::publisher_conformance!(memory_publisher, Memory);
stockade_testkit::feed_conformance!(memory_feed, Memory);
stockade_testkit::feed_reopen_conformance!(memory_feed_kept, Memory);
stockade_testkit::feed_retention_conformance!(memory_feed_retention, Memory);
