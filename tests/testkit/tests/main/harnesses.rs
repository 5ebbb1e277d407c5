//! Harnesses of what runs in memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use stockade_change_feed::memory::MemoryFeed;
use stockade_change_feed::{
    Feed, ManualClock, Offset, Publisher, Timestamp, Topic, TopicPartition,
};
use stockade_inventory_core::book::LocationPriority;
use stockade_inventory_core::memory::{MemoryInventory, MemoryTimer};
use stockade_inventory_core::{
    InventoryStore, LocationId, ReservationTimer, StockOutbox, StockRetention,
};
use stockade_testkit::feed::{AbsentTopicHarness, FeedHarness, PublisherHarness, RetentionHarness};
use stockade_testkit::inventory::{
    EpochHarness, InventoryHarness, OutboxHarness, StockRetentionHarness, TimerHarness,
};
use stockade_testkit::{Absent, Harness, Reopen};

use crate::feed::{FeedFlaw, FlawedFeed, SharedFlawed};

/// The stores and logs in memory, on a clock that is moved by hand.
pub(crate) struct Memory {
    clock: Arc<ManualClock>,
    store: MemoryInventory,
    pub(crate) timer: MemoryTimer,
    feed: MemoryFeed,
    topics: AtomicU32,
}

const SESSION: Duration = Duration::from_secs(5);

pub(crate) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new(Timestamp::from_millis(1_764_000_000_000)))
}

#[async_trait]
impl Harness for Memory {
    const BACKEND: &'static str = "memory";

    async fn open() -> Result<Self, Absent> {
        let clock = clock();
        let priority = LocationPriority::new(locations().to_vec());
        Ok(Self {
            store: MemoryInventory::new(clock.clone()).with_locations(priority),
            timer: MemoryTimer::new(clock.clone()),
            feed: MemoryFeed::new(clock.clone()).with_session_timeout(SESSION),
            topics: AtomicU32::new(0),
            clock,
        })
    }

    async fn pass_time(&self, by: Duration) {
        self.clock.advance(by);
    }
}

/// Not in the order of their names, so that the store has to go by its priorities.
fn locations() -> [LocationId; 2] {
    ["zwolle", "arnhem"].map(|name| LocationId::new(name).unwrap())
}

impl InventoryHarness for Memory {
    fn store(&self) -> Arc<dyn InventoryStore> {
        Arc::new(self.store.clone())
    }

    fn locations(&self) -> [LocationId; 2] {
        locations()
    }
}

impl OutboxHarness for Memory {
    fn outbox(&self) -> Arc<dyn StockOutbox> {
        Arc::new(self.store.clone())
    }
}

#[async_trait]
impl EpochHarness for Memory {
    async fn raise_epoch(&self) {
        self.store.raise_epoch();
    }
}

impl StockRetentionHarness for Memory {
    const EXACT_TIME: bool = true;

    fn retention(&self) -> Arc<dyn StockRetention> {
        Arc::new(self.store.clone())
    }
}

impl TimerHarness for Memory {
    fn timer(&self) -> Arc<dyn ReservationTimer> {
        Arc::new(self.timer.clone())
    }
}

#[async_trait]
impl PublisherHarness for Memory {
    fn publisher(&self) -> Arc<dyn Publisher> {
        Arc::new(self.feed.clone())
    }

    async fn create_topic(&self, partitions: u32) -> Topic {
        let number = self.topics.fetch_add(1, Ordering::Relaxed);
        let topic = Topic::new(format!("topic-{number}")).unwrap();
        let feed = self.feed.clone().with_partitions(partitions);
        assert_eq!(feed.partitions(&topic).await.unwrap(), partitions);
        topic
    }
}

impl FeedHarness for Memory {
    fn feed(&self) -> Arc<dyn Feed> {
        Arc::new(self.feed.clone())
    }

    fn session_timeout(&self) -> Duration {
        SESSION
    }
}

/// A lie: this log creates what it is asked for, and so fails each case.
impl AbsentTopicHarness for Memory {
    fn absent_topic(&self) -> Topic {
        Topic::new("absent").unwrap()
    }
}

#[async_trait]
impl RetentionHarness for Memory {
    async fn trim(&self, partition: &TopicPartition, before: Offset) {
        self.feed.trim(partition, before);
    }

    async fn recreate(&self, topic: &Topic) {
        let partitions = self.feed.partitions(topic).await.unwrap();
        self.feed.delete_topic(topic);
        let feed = self.feed.clone().with_partitions(partitions);
        assert_eq!(feed.partitions(topic).await.unwrap(), partitions);
    }
}

/// The process does not end, so the data is there: this proves the suite, not the store.
#[async_trait]
impl Reopen for Memory {
    async fn reopen(self) -> Self {
        self
    }
}

/// A log that keeps nothing on its disk.
pub(crate) struct Forgetful(Memory);

#[async_trait]
impl Harness for Forgetful {
    const BACKEND: &'static str = "memory";

    async fn open() -> Result<Self, Absent> {
        Memory::open().await.map(Self)
    }

    async fn pass_time(&self, by: Duration) {
        self.0.pass_time(by).await;
    }
}

#[async_trait]
impl PublisherHarness for Forgetful {
    fn publisher(&self) -> Arc<dyn Publisher> {
        self.0.publisher()
    }

    async fn create_topic(&self, partitions: u32) -> Topic {
        self.0.create_topic(partitions).await
    }
}

impl FeedHarness for Forgetful {
    fn feed(&self) -> Arc<dyn Feed> {
        self.0.feed()
    }

    fn session_timeout(&self) -> Duration {
        SESSION
    }
}

#[async_trait]
impl Reopen for Forgetful {
    async fn reopen(self) -> Self {
        let Self(Memory { clock, topics, .. }) = self;
        let priority = LocationPriority::new(locations().to_vec());
        Self(Memory {
            store: MemoryInventory::new(clock.clone()).with_locations(priority),
            timer: MemoryTimer::new(clock.clone()),
            feed: MemoryFeed::new(clock.clone()).with_session_timeout(SESSION),
            topics,
            clock,
        })
    }
}

/// A log in memory, with a flaw.
pub(crate) struct FlawedMemory {
    memory: Memory,
    log: SharedFlawed,
}

#[async_trait]
impl Harness for FlawedMemory {
    const BACKEND: &'static str = "memory";

    async fn open() -> Result<Self, Absent> {
        Self::with(FeedFlaw::None).await
    }

    async fn pass_time(&self, by: Duration) {
        self.memory.pass_time(by).await;
    }
}

impl FlawedMemory {
    pub(crate) async fn with(feed_flaw: FeedFlaw) -> Result<Self, Absent> {
        let memory = Memory::open().await?;
        let log = FlawedFeed::new(memory.feed.clone(), feed_flaw, memory.clock.clone());
        let log = SharedFlawed(Arc::new(log));
        Ok(Self { memory, log })
    }
}

#[async_trait]
impl PublisherHarness for FlawedMemory {
    fn publisher(&self) -> Arc<dyn Publisher> {
        Arc::new(self.log.clone())
    }

    async fn create_topic(&self, partitions: u32) -> Topic {
        self.memory.create_topic(partitions).await
    }
}

impl FeedHarness for FlawedMemory {
    fn feed(&self) -> Arc<dyn Feed> {
        Arc::new(self.log.clone())
    }

    fn session_timeout(&self) -> Duration {
        SESSION
    }
}

#[async_trait]
impl RetentionHarness for FlawedMemory {
    async fn trim(&self, partition: &TopicPartition, before: Offset) {
        self.log.0.note_removed(partition, before);
        self.memory.trim(partition, before).await;
    }

    async fn recreate(&self, topic: &Topic) {
        self.memory.recreate(topic).await;
    }
}
