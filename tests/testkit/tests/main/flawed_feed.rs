//! A log in front of the one in memory, and timers and an outbox, that break one rule each.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use stockade_change_feed::{
    Feed, FeedError, Group, Headers, Message, OnLostOffset, PartitionLag, PollLimits, Polled,
    Position, Published, Publisher, Route, Start, SubscribeOptions, Subscription, Topic,
    TopicPartition,
};

/// The rule that a log breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FeedFlaw {
    /// None.
    None,
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
    /// Determines the newest record for each member anew, until the group commits.
    ForgetsTheStart,
    /// Fails, and forgets what it would have reported.
    LosesReportsOfFailures,
    /// Reads from its first partition for as long as there is something.
    StarvesPartitions,
    /// Joins the group before it is polled.
    JoinsUnpolled,
    /// Spreads messages without a key.
    SpreadsTheKeyless,
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
        if self.flaw == FeedFlaw::SpreadsTheKeyless {
            let partitions = self.inner.partitions(topic).await.unwrap();
            let keyless = messages.iter_mut().filter(|message| message.key.is_none());
            let keyless = keyless.filter(|message| message.route == Route::Key);
            for (message, partition) in keyless.zip((0..partitions).cycle()) {
                message.route = Route::Partition(partition);
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
        let mut group = group.clone();
        if self.flaw == FeedFlaw::ForgetsTheStart && options.start == Start::Latest {
            let nobody = self.inner.lag(&Group::new("nobody")?, topics).await?;
            if self.inner.lag(&group, topics).await? == nobody {
                // It has committed nothing, and begins as another group.
                group = Group::new(format!("{group}-{}", unused()))?;
            }
        }
        let mut inner = self.inner.subscribe(&group, topics, options).await?;
        let mut unreported = Polled::default();
        if self.flaw == FeedFlaw::JoinsUnpolled {
            unreported = inner.poll(&for_nothing()).await?;
        }
        Ok(Box::new(FlawedMember {
            inner,
            flaw: self.flaw,
            unreported,
            assigned: BTreeSet::new(),
        }))
    }

    async fn lag(&self, group: &Group, topics: &[Topic]) -> Result<Vec<PartitionLag>, FeedError> {
        self.inner.lag(group, topics).await
    }
}

struct FlawedMember {
    inner: Box<dyn Subscription>,
    flaw: FeedFlaw,
    /// For the next poll.
    unreported: Polled,
    assigned: BTreeSet<TopicPartition>,
}

/// A number that no other group has.
fn unused() -> u32 {
    static GROUPS: AtomicU32 = AtomicU32::new(0);
    GROUPS.fetch_add(1, Ordering::Relaxed)
}

fn for_nothing() -> PollLimits {
    PollLimits {
        records: 0,
        wait: Duration::ZERO,
        ..PollLimits::default()
    }
}

impl FlawedMember {
    /// Polls each partition by itself, and returns with the first that has something.
    async fn poll_one_by_one(&mut self, limits: &PollLimits) -> Result<Polled, FeedError> {
        for at in self.assigned.clone() {
            if limits.records == 0 || limits.paused.contains(&at) {
                continue;
            }
            let others = self.assigned.iter().filter(|other| **other != at);
            let alone = PollLimits {
                paused: others.cloned().collect(),
                wait: Duration::ZERO,
                ..limits.clone()
            };
            let polled = self.inner.poll(&alone).await?;
            if !polled.is_empty() {
                return Ok(polled);
            }
        }
        self.inner.poll(limits).await
    }
}

#[async_trait]
impl Subscription for FlawedMember {
    async fn poll(&mut self, limits: &PollLimits) -> Result<Polled, FeedError> {
        let mut limits = limits.clone();
        if self.flaw == FeedFlaw::IgnoresPauses {
            limits.paused.clear();
        }
        if !self.unreported.is_empty() {
            return Ok(std::mem::take(&mut self.unreported));
        }
        let polled = match self.flaw {
            FeedFlaw::StarvesPartitions => self.poll_one_by_one(&limits).await,
            _ => self.inner.poll(&limits).await,
        };
        if polled.is_err() && self.flaw == FeedFlaw::LosesReportsOfFailures {
            self.inner.poll(&for_nothing()).await?;
        }
        let polled = polled?;
        for lost in &polled.lost {
            self.assigned.remove(lost);
        }
        let gained = polled.gained.iter();
        self.assigned
            .extend(gained.map(|gained| gained.partition.clone()));
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
