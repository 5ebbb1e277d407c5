//! Mocks of the traits, made by [`mockall`], for tests of code that calls them.
//!
//! A mock keeps no rules: it returns what the test tells it to. For a test that needs a log that
//! keeps the rules, use the implementation in [`memory`](crate::memory).
//!
//! ```
//! use std::sync::Arc;
//!
//! use stockade_change_feed::mock::MockPublisher;
//! use stockade_change_feed::{FeedError, Publisher, Topic};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), FeedError> {
//! let mut mock = MockPublisher::new();
//! mock.expect_partitions().times(1).returning(|_| Ok(3));
//!
//! let publisher: Arc<dyn Publisher> = Arc::new(mock);
//! assert_eq!(publisher.partitions(&Topic::new("orders")?).await?, 3);
//! # Ok(())
//! # }
//! ```

pub use crate::feed::{MockFeed, MockPublisher, MockSubscription};
