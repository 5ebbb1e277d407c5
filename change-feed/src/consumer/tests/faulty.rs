//! A log that fails, or hangs, for a while.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use crate::error::FeedError;
use crate::failure::Failure;
use crate::feed::{
    Feed, Group, PartitionLag, PollLimits, Polled, Publisher, SubscribeOptions, Subscription,
};
use crate::memory::MemoryFeed;
use crate::record::{Message, Position, Published, Topic};

#[derive(Clone, Copy)]
pub(super) enum Fault {
    Error,
    /// Never an answer.
    Hang,
}

/// Fails as often as it is told, then works.
pub(super) struct Faulty {
    pub(super) fault: Fault,
    pub(super) feed: MemoryFeed,
    pub(super) joins: AtomicU32,
    pub(super) polls: Arc<AtomicU32>,
    pub(super) commits: Arc<AtomicU32>,
    pub(super) publishes: AtomicU32,
}

impl Faulty {
    pub(super) fn new(feed: &MemoryFeed, times: u32) -> Self {
        Self {
            fault: Fault::Error,
            feed: feed.clone(),
            joins: times.into(),
            polls: Arc::new(times.into()),
            commits: Arc::new(times.into()),
            publishes: times.into(),
        }
    }

    pub(super) fn hanging(feed: &MemoryFeed, times: u32) -> Self {
        let fault = Fault::Hang;
        Self {
            fault,
            ..Self::new(feed, times)
        }
    }
}

async fn strike(fault: Fault, left: &AtomicU32) -> Result<(), FeedError> {
    let left = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
        left.checked_sub(1)
    });
    match (left, fault) {
        (Err(_), _) => Ok(()),
        (Ok(_), Fault::Hang) => pending().await,
        (Ok(_), Fault::Error) => {
            let pause = Duration::from_millis(1);
            Err(Failure::unavailable("it", pause, "out of order").into())
        }
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
        strike(self.fault, &self.joins).await?;
        let subscription = self.feed.subscribe(group, topics, options).await?;
        let (polls, commits) = (self.polls.clone(), self.commits.clone());
        Ok(Box::new(FaultySubscription {
            fault: self.fault,
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
    ) -> Result<Vec<Result<Published, FeedError>>, FeedError> {
        strike(self.fault, &self.publishes).await?;
        self.feed.publish(topic, messages).await
    }

    async fn partitions(&self, topic: &Topic) -> Result<u32, FeedError> {
        self.feed.partitions(topic).await
    }
}

pub(super) struct FaultySubscription {
    fault: Fault,
    pub(super) subscription: Box<dyn Subscription>,
    pub(super) polls: Arc<AtomicU32>,
    pub(super) commits: Arc<AtomicU32>,
}

#[async_trait]
impl Subscription for FaultySubscription {
    async fn poll(&mut self, limits: &PollLimits) -> Result<Polled, FeedError> {
        strike(self.fault, &self.polls).await?;
        self.subscription.poll(limits).await
    }

    async fn commit(
        &mut self,
        finished: &[Position],
    ) -> Result<Vec<Result<(), FeedError>>, FeedError> {
        strike(self.fault, &self.commits).await?;
        self.subscription.commit(finished).await
    }

    async fn close(self: Box<Self>) -> Result<(), FeedError> {
        self.subscription.close().await
    }
}
