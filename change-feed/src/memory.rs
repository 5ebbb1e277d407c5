//! A log in memory, with all that the traits promise but durability.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::FeedError;
use crate::feed::{Feed, Group, PartitionLag, Publisher, SubscribeOptions, Subscription};
use crate::record::{Message, Position, Topic};
use crate::time::Clock;

/// A log in memory. Clones share it. Topics are created when first named.
#[derive(Clone, Debug)]
pub struct MemoryFeed {}

impl MemoryFeed {
    /// An empty log with 4 partitions a topic.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let _ = clock;
        todo!()
    }

    /// With another number of partitions for topics created from now on, at least 1.
    #[must_use]
    pub fn with_partitions(self, partitions: u32) -> Self {
        let _ = partitions;
        todo!()
    }

    /// With another time after which a member that does not poll loses its partitions (30 s).
    #[must_use]
    pub fn with_session_timeout(self, timeout: Duration) -> Self {
        let _ = timeout;
        todo!()
    }

    /// Appends one message at once: what a store in memory does under its own lock, so that its
    /// state and its log can not differ.
    ///
    /// # Errors
    /// [`FeedError::UnknownPartition`].
    pub fn append(&self, topic: &Topic, message: Message) -> Result<Position, FeedError> {
        let _ = (topic, message);
        todo!()
    }
}

#[async_trait]
impl Publisher for MemoryFeed {
    async fn publish(
        &self,
        topic: &Topic,
        messages: Vec<Message>,
    ) -> Vec<Result<Position, FeedError>> {
        messages
            .into_iter()
            .map(|message| self.append(topic, message))
            .collect()
    }

    async fn partitions(&self, _topic: &Topic) -> Result<u32, FeedError> {
        todo!()
    }
}

#[async_trait]
impl Feed for MemoryFeed {
    async fn subscribe(
        &self,
        _group: &Group,
        _topics: &[Topic],
        _options: SubscribeOptions,
    ) -> Result<Box<dyn Subscription>, FeedError> {
        todo!()
    }

    async fn lag(&self, _group: &Group, _topics: &[Topic]) -> Result<Vec<PartitionLag>, FeedError> {
        todo!()
    }
}
