//! A log in front of the one in memory that breaks one rule.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use stockade_change_feed::memory::MemoryFeed;
use stockade_change_feed::{
    Clock, Feed, FeedError, Group, Headers, Message, Offset, OnLostOffset, PartitionLag, Published,
    Publisher, Route, Start, SubscribeOptions, Subscription, Topic, TopicPartition,
};

use super::flawed_member::{FlawedMember, at_once};

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
    /// Determines the newest record again for each member, until the group commits.
    ForgetsTheStart,
    /// Fails, and forgets what it would have reported.
    LosesReportsOfFailures,
    /// Reads from its first partition for as long as there is something.
    StarvesPartitions,
    /// Joins the group before it is polled.
    JoinsUnpolled,
    /// Spreads messages without a key.
    SpreadsTheKeyless,
    /// Shares partitions as if all members read the topics of the one that polls.
    SharesByOwnTopics,
    /// Reads ahead of a lost offset before it fails.
    LosesRecordsOfFailures,
    /// Counts only values as bytes.
    CountsOnlyValues,
    /// Closes by falling silent.
    ClosesSilently,
    /// Reports changes of the assignment only with records, or after the wait.
    WaitsForRecords,
    /// Continues at the oldest record when the next one of a live member was removed.
    SkipsWhatIsRemoved,
    /// Commits offsets, whichever topic they were read from.
    CommitsByOffset,
    /// Has the age of the oldest record in the lag.
    AgeOfTheOldest,
    /// Uses the options of the group's first member for all members.
    FirstOptions,
    /// Sends no heartbeat while a poll waits.
    WaitsSilently,
    /// Counts removed records in the lag.
    CountsRemoved,
}

/// A log with a flaw.
pub(crate) struct FlawedFeed {
    pub(super) inner: MemoryFeed,
    pub(super) flaw: FeedFlaw,
    pub(super) clock: Arc<dyn Clock>,
    groups: Mutex<BTreeMap<Group, Joined>>,
    removed: Mutex<BTreeMap<TopicPartition, u64>>,
}

/// What members of a group asked for.
struct Joined {
    topics: BTreeSet<Topic>,
    first_options: SubscribeOptions,
}

impl FlawedFeed {
    pub(crate) fn new(inner: MemoryFeed, flaw: FeedFlaw, clock: Arc<dyn Clock>) -> Self {
        Self {
            inner,
            flaw,
            clock,
            groups: Mutex::default(),
            removed: Mutex::default(),
        }
    }

    /// Notes that the records of a partition before `before` were removed.
    pub(crate) fn note_removed(&self, partition: &TopicPartition, before: Offset) {
        let removed = u64::try_from(before.0).unwrap();
        self.removed
            .lock()
            .unwrap()
            .insert(partition.clone(), removed);
    }
}

/// A log with a flaw, which its members use as well.
#[derive(Clone)]
pub(crate) struct SharedFlawed(pub(crate) Arc<FlawedFeed>);

#[async_trait]
impl Publisher for SharedFlawed {
    async fn publish(
        &self,
        topic: &Topic,
        mut messages: Vec<Message>,
    ) -> Result<Vec<Result<Published, FeedError>>, FeedError> {
        if self.0.flaw == FeedFlaw::DropsHeaders {
            for message in &mut messages {
                message.headers = Headers::new();
            }
        }
        if self.0.flaw == FeedFlaw::SpreadsTheKeyless {
            let partitions = self.0.inner.partitions(topic).await.unwrap();
            let keyless = messages.iter_mut().filter(|message| message.key.is_none());
            let keyless = keyless.filter(|message| message.route == Route::Key);
            for (message, partition) in keyless.zip((0..partitions).cycle()) {
                message.route = Route::Partition(partition);
            }
        }
        self.0.inner.publish(topic, messages).await
    }

    async fn partitions(&self, topic: &Topic) -> Result<u32, FeedError> {
        self.0.inner.partitions(topic).await
    }
}

#[async_trait]
impl Feed for SharedFlawed {
    async fn subscribe(
        &self,
        group: &Group,
        topics: &[Topic],
        mut options: SubscribeOptions,
    ) -> Result<Box<dyn Subscription>, FeedError> {
        if self.0.flaw == FeedFlaw::GoesOnAtTheOldest {
            options.on_lost_offset = OnLostOffset::Earliest;
        }
        let mut group = group.clone();
        if self.0.flaw == FeedFlaw::ForgetsTheStart && options.start == Start::Latest {
            let nobody = self.0.inner.lag(&Group::new("nobody")?, topics).await?;
            if self.0.inner.lag(&group, topics).await? == nobody {
                // It has committed nothing, and begins as another group.
                group = Group::new(format!("{group}-{}", unused()))?;
            }
        }
        let mut all_topics = BTreeSet::new();
        {
            let mut groups = self.0.groups.lock().unwrap();
            let joined = groups.entry(group.clone()).or_insert_with(|| Joined {
                topics: BTreeSet::new(),
                first_options: options.clone(),
            });
            joined.topics.extend(topics.iter().cloned());
            if self.0.flaw == FeedFlaw::FirstOptions {
                options = joined.first_options.clone();
            }
            all_topics.extend(joined.topics.iter().cloned());
        }
        let inner = self.0.inner.subscribe(&group, topics, options).await?;
        let log = self.0.clone();
        let mut member = FlawedMember::new(log, group, topics.to_vec(), inner);
        if self.0.flaw == FeedFlaw::JoinsUnpolled {
            member.unreported = member.inner.poll(&at_once()).await?;
        }
        let own_topics: BTreeSet<Topic> = topics.iter().cloned().collect();
        member.takes_too_few = own_topics != all_topics;
        Ok(Box::new(member))
    }

    async fn lag(&self, group: &Group, topics: &[Topic]) -> Result<Vec<PartitionLag>, FeedError> {
        let mut lag = self.0.inner.lag(group, topics).await?;
        if self.0.flaw == FeedFlaw::AgeOfTheOldest {
            let of_all = self.0.inner.lag(&Group::new("nobody")?, topics).await?;
            for (lag, of_all) in lag.iter_mut().zip(of_all) {
                lag.age = of_all.age.filter(|_| lag.records != Some(0)).or(lag.age);
            }
        }
        if self.0.flaw == FeedFlaw::CountsRemoved {
            let removed = self.0.removed.lock().unwrap();
            for lag in &mut lag {
                let removed = removed.get(&lag.partition).copied().unwrap_or_default();
                lag.records = lag.records.map(|records| records + removed);
            }
        }
        Ok(lag)
    }
}

/// A number that no other group has.
fn unused() -> u32 {
    static GROUPS: AtomicU32 = AtomicU32::new(0);
    GROUPS.fetch_add(1, Ordering::Relaxed)
}
