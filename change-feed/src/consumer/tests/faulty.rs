//! A log that fails for a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use crate::error::{Cause, FeedError};
use crate::feed::{
    Feed, Group, PartitionLag, PollLimits, Polled, Publisher, SubscribeOptions, Subscription,
};
use crate::memory::MemoryFeed;
use crate::record::{Message, Position, Published, Topic};

/// Fails as often as it is told, then works.
pub(super) struct Faulty {
    pub(super) feed: MemoryFeed,
    pub(super) joins: AtomicU32,
    pub(super) polls: Arc<AtomicU32>,
    pub(super) commits: Arc<AtomicU32>,
    pub(super) publishes: AtomicU32,
}

impl Faulty {
    pub(super) fn new(feed: &MemoryFeed, times: u32) -> Self {
        Self {
            feed: feed.clone(),
            joins: times.into(),
            polls: Arc::new(times.into()),
            commits: Arc::new(times.into()),
            publishes: times.into(),
        }
    }
}

pub(super) fn fault(left: &AtomicU32) -> Result<(), FeedError> {
    let left = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
        left.checked_sub(1)
    });
    let retry_after = Duration::from_millis(1);
    let source = Cause::new("out of order");
    match left {
        Ok(_) => Err(FeedError::Unavailable {
            operation: "it",
            retry_after,
            source,
        }),
        Err(_) => Ok(()),
    }
}

#[async_trait]
impl Feed for Faulty {
    async fn subscribe(
        &self,
        group: &Group,
        topics: &[Topic],
        options: SubscribeOptions,
    ) -> Result<Box<dyn Subscription>, FeedError> {
        fault(&self.joins)?;
        let subscription = self.feed.subscribe(group, topics, options).await?;
        let (polls, commits) = (self.polls.clone(), self.commits.clone());
        Ok(Box::new(FaultySubscription {
            subscription,
            polls,
            commits,
        }))
    }

    async fn lag(&self, group: &Group, topics: &[Topic]) -> Result<Vec<PartitionLag>, FeedError> {
        self.feed.lag(group, topics).await
    }
}

#[async_trait]
impl Publisher for Faulty {
    async fn publish(
        &self,
        topic: &Topic,
        messages: Vec<Message>,
    ) -> Vec<Result<Published, FeedError>> {
        match fault(&self.publishes) {
            Ok(()) => self.feed.publish(topic, messages).await,
            Err(error) => messages.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    async fn partitions(&self, topic: &Topic) -> Result<u32, FeedError> {
        self.feed.partitions(topic).await
    }
}

pub(super) struct FaultySubscription {
    pub(super) subscription: Box<dyn Subscription>,
    pub(super) polls: Arc<AtomicU32>,
    pub(super) commits: Arc<AtomicU32>,
}

#[async_trait]
impl Subscription for FaultySubscription {
    async fn poll(&mut self, limits: &PollLimits) -> Result<Polled, FeedError> {
        fault(&self.polls)?;
        self.subscription.poll(limits).await
    }

    async fn commit(&mut self, finished: &[Position]) -> Vec<Result<(), FeedError>> {
        match fault(&self.commits) {
            Ok(()) => self.subscription.commit(finished).await,
            Err(error) => finished.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    async fn close(self: Box<Self>) -> Result<(), FeedError> {
        self.subscription.close().await
    }
}
