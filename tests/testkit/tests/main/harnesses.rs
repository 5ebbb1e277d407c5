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
use stockade_testkit::feed::{FeedHarness, PublisherHarness, RetentionHarness};
use stockade_testkit::inventory::{
    InventoryHarness, OutboxHarness, StockRetentionHarness, TimerHarness,
};
use stockade_testkit::{Absent, Harness, Reopen};

use crate::flawed_feed::{FeedFlaw, FlawedFeed};
use crate::flawed_outbox::{ForgetsVersions, KeepsTheFirst};
use crate::flawed_store::{Flaw, FlawedStore};

/// The stores and logs in memory, on a clock that is moved by hand.
pub(crate) struct Memory {
    clock: Arc<ManualClock>,
    store: MemoryInventory,
    timer: MemoryTimer,
    feed: MemoryFeed,
    topics: AtomicU32,
}

fn clock() -> Arc<ManualClock> {
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
            feed: MemoryFeed::new(clock.clone()).with_session_timeout(Duration::from_secs(5)),
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

impl StockRetentionHarness for Memory {
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

/// The store of the self-tests, with a flaw or without.
pub(crate) struct Built {
    clock: Arc<ManualClock>,
    store: Arc<FlawedStore>,
}

impl Built {
    pub(crate) async fn with(flaw: Flaw) -> Result<Self, Absent> {
        let clock = clock();
        let store = Arc::new(FlawedStore::new(clock.clone(), flaw));
        Ok(Self { clock, store })
    }
}

#[async_trait]
impl Harness for Built {
    const BACKEND: &'static str = "memory";

    async fn open() -> Result<Self, Absent> {
        Self::with(Flaw::None).await
    }

    async fn pass_time(&self, by: Duration) {
        self.clock.advance(by);
    }
}

impl InventoryHarness for Built {
    fn store(&self) -> Arc<dyn InventoryStore> {
        self.store.clone()
    }
}

impl StockRetentionHarness for Built {
    fn retention(&self) -> Arc<dyn StockRetention> {
        self.store.clone()
    }
}

#[async_trait]
impl Reopen for Built {
    async fn reopen(self) -> Self {
        self
    }
}

/// A store that keeps nothing on its disk.
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

impl InventoryHarness for Forgetful {
    fn store(&self) -> Arc<dyn InventoryStore> {
        self.0.store()
    }

    fn locations(&self) -> [LocationId; 2] {
        self.0.locations()
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
}

#[async_trait]
impl Reopen for Forgetful {
    async fn reopen(self) -> Self {
        let Self(Memory { clock, topics, .. }) = self;
        let priority = LocationPriority::new(locations().to_vec());
        Self(Memory {
            store: MemoryInventory::new(clock.clone()).with_locations(priority),
            timer: MemoryTimer::new(clock.clone()),
            feed: MemoryFeed::new(clock.clone()).with_session_timeout(Duration::from_secs(5)),
            topics,
            clock,
        })
    }
}

/// What runs in memory, with a flaw in its log, its outbox or its timers.
pub(crate) struct FlawedMemory {
    memory: Memory,
    timer: Arc<KeepsTheFirst>,
    feed_flaw: FeedFlaw,
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
        let timer = Arc::new(KeepsTheFirst::new(memory.timer.clone()));
        Ok(Self {
            memory,
            timer,
            feed_flaw,
        })
    }

    fn log(&self) -> Arc<FlawedFeed<MemoryFeed>> {
        Arc::new(FlawedFeed::new(self.memory.feed.clone(), self.feed_flaw))
    }
}

#[async_trait]
impl PublisherHarness for FlawedMemory {
    fn publisher(&self) -> Arc<dyn Publisher> {
        self.log()
    }

    async fn create_topic(&self, partitions: u32) -> Topic {
        self.memory.create_topic(partitions).await
    }
}

impl FeedHarness for FlawedMemory {
    fn feed(&self) -> Arc<dyn Feed> {
        self.log()
    }
}

#[async_trait]
impl RetentionHarness for FlawedMemory {
    async fn trim(&self, partition: &TopicPartition, before: Offset) {
        self.memory.trim(partition, before).await;
    }

    async fn recreate(&self, topic: &Topic) {
        self.memory.recreate(topic).await;
    }
}

impl InventoryHarness for FlawedMemory {
    fn store(&self) -> Arc<dyn InventoryStore> {
        self.memory.store()
    }

    fn locations(&self) -> [LocationId; 2] {
        self.memory.locations()
    }
}

impl OutboxHarness for FlawedMemory {
    fn outbox(&self) -> Arc<dyn StockOutbox> {
        Arc::new(ForgetsVersions(self.memory.store.clone()))
    }
}

impl TimerHarness for FlawedMemory {
    fn timer(&self) -> Arc<dyn ReservationTimer> {
        self.timer.clone()
    }
}
