//! A log in front of the one in memory, and timers and an outbox, that break one rule each.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use stockade_change_feed::{
    Feed, FeedError, Group, Headers, Message, OnLostOffset, PartitionLag, PollLimits, Polled,
    Position, Published, Publisher, SubscribeOptions, Subscription, Topic,
};

/// The rule that a log breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FeedFlaw {
    /// Finishes records when they are fetched.
    FinishesWhatIsFetched,
    /// Fetches records, and then waits before it answers.
    LosesWhatIsDropped,
    /// Returns what is paused.
    IgnoresPauses,
    /// Publishes without headers.
    DropsHeaders,
    /// Goes on at the oldest record where the committed one is gone, and says nothing of it.
    GoesOnAtTheOldest,
}

impl FeedFlaw {
    pub(crate) const ALL: [Self; 5] = [
        Self::FinishesWhatIsFetched,
        Self::LosesWhatIsDropped,
        Self::IgnoresPauses,
        Self::DropsHeaders,
        Self::GoesOnAtTheOldest,
    ];
}

/// A log with a flaw.
pub(crate) struct FlawedFeed<T> {
    inner: Arc<T>,
    flaw: FeedFlaw,
}

impl<T> FlawedFeed<T> {
    pub(crate) fn new(inner: T, flaw: FeedFlaw) -> Self {
        let inner = Arc::new(inner);
        Self { inner, flaw }
    }
}

#[async_trait]
impl<T: Publisher> Publisher for FlawedFeed<T> {
    async fn publish(
        &self,
        topic: &Topic,
        mut messages: Vec<Message>,
    ) -> Result<Vec<Result<Published, FeedError>>, FeedError> {
        if self.flaw == FeedFlaw::DropsHeaders {
            for message in &mut messages {
                message.headers = Headers::new();
            }
        }
        self.inner.publish(topic, messages).await
    }

    async fn partitions(&self, topic: &Topic) -> Result<u32, FeedError> {
        self.inner.partitions(topic).await
    }
}

#[async_trait]
impl<T: Feed> Feed for FlawedFeed<T> {
    async fn subscribe(
        &self,
        group: &Group,
        topics: &[Topic],
        mut options: SubscribeOptions,
    ) -> Result<Box<dyn Subscription>, FeedError> {
        if self.flaw == FeedFlaw::GoesOnAtTheOldest {
            options.on_lost_offset = OnLostOffset::Earliest;
        }
        let inner = self.inner.subscribe(group, topics, options).await?;
        let flaw = self.flaw;
        Ok(Box::new(FlawedMember { inner, flaw }))
    }

    async fn lag(&self, group: &Group, topics: &[Topic]) -> Result<Vec<PartitionLag>, FeedError> {
        self.inner.lag(group, topics).await
    }
}

struct FlawedMember {
    inner: Box<dyn Subscription>,
    flaw: FeedFlaw,
}

#[async_trait]
impl Subscription for FlawedMember {
    async fn poll(&mut self, limits: &PollLimits) -> Result<Polled, FeedError> {
        let mut limits = limits.clone();
        if self.flaw == FeedFlaw::IgnoresPauses {
            limits.paused.clear();
        }
        let polled = self.inner.poll(&limits).await?;
        if self.flaw == FeedFlaw::LosesWhatIsDropped && polled.gained.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if self.flaw == FeedFlaw::FinishesWhatIsFetched {
            let fetched: Vec<_> = polled.records.iter().map(|r| r.position.clone()).collect();
            self.inner.commit(&fetched).await?;
        }
        Ok(polled)
    }

    async fn commit(
        &mut self,
        finished: &[Position],
    ) -> Result<Vec<Result<(), FeedError>>, FeedError> {
        self.inner.commit(finished).await
    }

    async fn close(self: Box<Self>) -> Result<(), FeedError> {
        self.inner.close().await
    }
}
