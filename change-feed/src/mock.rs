//! Mocks of the traits, by [`mockall`], for the tests of those who use them: what is called, with
//! what, how often, and what comes back.
//!
//! A mock knows no rule: it answers what it is told to. Where a test needs a log that behaves, the
//! implementation in [`memory`](crate::memory) is shorter and right.
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
