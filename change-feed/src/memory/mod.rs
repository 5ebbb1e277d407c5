//! A log in memory. It keeps all promises of the traits except durability.

mod log;
mod subscription;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;

use self::log::{Cursor, Log};
use self::subscription::MemorySubscription;
use crate::error::FeedError;
use crate::feed::{Feed, Group, PartitionLag, Publisher, SubscribeOptions, Subscription};
use crate::membership::{GroupState, MemberId};
use crate::record::{Message, Offset, Position, Published, Topic, TopicPartition};
use crate::time::Clock;

/// A log in memory. Clones share it. A topic is created when it is first used.
///
/// - Offsets start at 0 and have no gaps. All records are kept, until [`trim`](Self::trim) or
///   [`delete_topic`](Self::delete_topic).
/// - The partition of a key is the same in every process.
/// - A partition is revoked when its reader polls and releases it, when the reader closes, or when
///   another member polls after the reader was silent for the session timeout.
///
/// ```
/// use std::sync::Arc;
///
/// use stockade_change_feed::memory::MemoryFeed;
/// use stockade_change_feed::{
///     Feed, FeedError, Group, Message, PollLimits, Publisher, Subscription, SubscribeOptions,
///     SystemClock, Topic,
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), FeedError> {
/// let feed = MemoryFeed::new(Arc::new(SystemClock::new()));
/// let orders = Topic::new("orders")?;
/// feed.publish(&orders, vec![Message::keyed("order-1", "{}")]).await?.remove(0)?;
///
/// let group = Group::new("printer")?;
/// let mut member = feed.subscribe(&group, &[orders], SubscribeOptions::default()).await?;
/// let mut records = Vec::new();
/// while records.is_empty() {
///     records = member.poll(&PollLimits::default()).await?.records;
/// }
/// assert_eq!(records[0].value.as_deref(), Some(&b"{}"[..]));
/// member.commit(&[records[0].position.clone()]).await?.remove(0)?;
/// member.close().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct MemoryFeed {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    /// Increases with each change that a waiting poll should look at.
    changes: watch::Sender<u64>,
}

#[derive(Debug)]
struct State {
    log: Log,
    groups: BTreeMap<Group, GroupOfReaders>,
    /// How many members there ever were.
    members: u64,
    session_timeout: Duration,
}

/// What is known of a group.
#[derive(Debug, Default)]
struct GroupOfReaders {
    state: GroupState,
    /// The committed positions.
    progress: BTreeMap<TopicPartition, Cursor>,
}

impl MemoryFeed {
    /// An empty log with 4 partitions a topic.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let state = State {
            log: Log::default(),
            groups: BTreeMap::new(),
            members: 0,
            session_timeout: Duration::from_secs(30),
        };
        let changes = watch::Sender::new(0);
        Self {
            shared: Arc::new(Shared {
                clock,
                state: Mutex::new(state),
                changes,
            }),
        }
    }

    /// Sets the number of partitions of topics that are created from now on, at least 1 (4).
    #[must_use]
    pub fn with_partitions(self, partitions: u32) -> Self {
        self.lock().log.partitions = partitions.max(1);
        self
    }

    /// Sets the session timeout: a member that does not poll for so long loses its partitions (30
    /// s).
    #[must_use]
    pub fn with_session_timeout(self, timeout: Duration) -> Self {
        self.lock().session_timeout = timeout;
        self
    }

    /// Sets the limit for key, value and headers of a message together (1 MiB).
    #[must_use]
    pub fn with_max_message_bytes(self, bytes: usize) -> Self {
        self.lock().log.max_message_bytes = bytes;
        self
    }

    /// Appends one message without waiting. A store in memory calls it under its own lock, so that
    /// its state and its log never differ.
    ///
    /// # Errors
    /// [`FeedError::UnknownPartition`]; [`FeedError::TooLarge`].
    pub fn append(&self, topic: &Topic, message: Message) -> Result<Position, FeedError> {
        let mut state = self.lock();
        // Read under the lock, so that times rise with offsets as far as the clock does.
        let position = state.log.append(topic, message, self.shared.clock.now())?;
        drop(state);
        self.wake();
        Ok(position)
    }

    /// Appends several messages in their order: all of them, or none when one is refused.
    ///
    /// # Errors
    /// [`FeedError::UnknownPartition`]; [`FeedError::TooLarge`].
    pub fn append_all(
        &self,
        topic: &Topic,
        messages: Vec<Message>,
    ) -> Result<Vec<Position>, FeedError> {
        let mut state = self.lock();
        for message in &messages {
            state.log.check(topic, message)?;
        }
        let now = self.shared.clock.now();
        let append = |message| state.log.append(topic, message, now);
        let positions = messages.into_iter().map(append).collect();
        drop(state);
        self.wake();
        positions
    }

    /// Keeps at most `records` records in each partition of a topic from now on; without this, all
    /// records are kept. A group that falls further behind loses its offset.
    pub fn retain(&self, topic: &Topic, records: usize) {
        self.lock().log.retain(topic, records);
        self.wake();
    }

    /// Deletes the records of a partition before `before`, as retention does.
    pub fn trim(&self, partition: &TopicPartition, before: Offset) {
        self.lock().log.trim(partition, before);
        self.wake();
    }

    /// Deletes a topic. Its next use creates it again, with offsets from 0. Committed offsets stay,
    /// as in other logs, and are then reported as lost.
    pub fn delete_topic(&self, topic: &Topic) {
        self.lock().log.delete(topic);
        self.wake();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing under the lock leaves the state half-changed, so a panic elsewhere is no reason
        // to fail here.
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        self.shared
            .changes
            .send_modify(|changes| *changes = changes.wrapping_add(1));
    }
}

#[async_trait]
impl Publisher for MemoryFeed {
    async fn publish(
        &self,
        topic: &Topic,
        messages: Vec<Message>,
    ) -> Result<Vec<Result<Published, FeedError>>, FeedError> {
        let append = |message| self.append(topic, message).map(Published::from);
        Ok(messages.into_iter().map(append).collect())
    }

    async fn partitions(&self, topic: &Topic) -> Result<u32, FeedError> {
        Ok(self.lock().log.partitions_of(topic))
    }
}

#[async_trait]
impl Feed for MemoryFeed {
    async fn subscribe(
        &self,
        group: &Group,
        topics: &[Topic],
        options: SubscribeOptions,
    ) -> Result<Box<dyn Subscription>, FeedError> {
        let member = {
            let mut state = self.lock();
            state.log.sizes(topics);
            state.members += 1;
            MemberId(state.members)
        };
        let (feed, group, topics) = (self.clone(), group.clone(), topics.to_vec());
        let subscription = MemorySubscription::new(feed, group, topics, options, member);
        Ok(Box::new(subscription))
    }

    async fn lag(&self, group: &Group, topics: &[Topic]) -> Result<Vec<PartitionLag>, FeedError> {
        let now = self.shared.clock.now();
        let mut state = self.lock();
        let State { log, groups, .. } = &mut *state;
        let progress = groups.get(group).map(|group| &group.progress);
        let mut lags = Vec::new();
        for topic in topics {
            for number in 0..log.partitions_of(topic) {
                let at = TopicPartition::new(topic.clone(), number);
                let Some(partition) = log.partition(&at) else {
                    continue;
                };
                let start = Cursor::at(partition.first());
                let cursor = progress.and_then(|progress| progress.get(&at)).copied();
                let cursor = cursor
                    .filter(|cursor| partition.holds(*cursor))
                    .unwrap_or(start);
                let age = match partition.get(cursor.next) {
                    Some(record) => now.since(record.position.timestamp),
                    None => Some(Duration::ZERO),
                };
                lags.push(PartitionLag::new(
                    at,
                    Some(partition.end() - cursor.next),
                    age,
                ));
            }
        }
        Ok(lags)
    }
}
