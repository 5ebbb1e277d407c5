//! The stock that pages show and the timers of reservations: beside the stores, or in Kafka and
//! Redis.

use std::sync::Arc;

use anyhow::ensure;
use service_kit::{KafkaLog, KafkaSettings, RedisSettings};
use stockade_catalog_core::AvailabilityCache;
use stockade_catalog_core::memory::MemoryAvailabilityCache;
use stockade_change_feed::{Clock, Feed, Group, Publisher, Topic};
use stockade_inventory_core::memory::MemoryTimer;
use stockade_inventory_core::{ReservationTimer, inventory_updates};
use stockade_redis::{RedisAvailability, RedisTimers, TimerOptions};

use super::storage::Storage;
use super::{Options, Reading};

/// The consumer groups that read stock events.
const GROUPS: [&str; 3] = ["availability", "search-stock", "live-stock"];

/// The log of stock events.
pub(crate) struct StockLog {
    pub(crate) publisher: Arc<dyn Publisher>,
    pub(crate) topic: Topic,
    feed: Arc<dyn Feed>,
    /// What the names of groups begin with.
    groups: &'static str,
}

/// What pages read stock from, and who ends reservations.
pub(super) struct Derived {
    pub(super) cache: Arc<dyn AvailabilityCache>,
    pub(super) timers: Arc<dyn ReservationTimer>,
}

/// Refuses options that would lose stock.
pub(super) fn check(options: &Options) -> anyhow::Result<()> {
    ensure!(
        options.postgres.is_some() || (options.redis.is_none() && options.kafka.is_none()),
        "--redis and --kafka need --postgres URL: stock in memory ends with the shop, and they \
         would keep what it was"
    );
    Ok(())
}

impl StockLog {
    /// The log of the store, or Kafka.
    pub(super) async fn open(
        settings: Option<&KafkaSettings>,
        storage: &Storage,
    ) -> anyhow::Result<Self> {
        let Some(settings) = settings else {
            return Ok(Self {
                publisher: storage.publisher.clone(),
                topic: inventory_updates(),
                feed: storage.feed.clone(),
                groups: "",
            });
        };
        Self::of_kafka(settings, &GROUPS).await
    }

    /// Kafka, with a topic for the dead letters of each group.
    pub(crate) async fn of_kafka(
        settings: &KafkaSettings,
        groups: &[&str],
    ) -> anyhow::Result<Self> {
        let kafka: KafkaLog = settings.open("storefront").await?;
        let log = Self {
            publisher: kafka.publisher(),
            topic: kafka.topic().clone(),
            feed: kafka.feed(),
            // Other services have groups there too.
            groups: "storefront-",
        };
        for group in groups {
            kafka.ensure(&log.reading(group)?.dead_letters).await?;
        }
        Ok(log)
    }

    /// How a consumer group reads stock events.
    pub(crate) fn reading(&self, group: &str) -> anyhow::Result<Reading> {
        let group = format!("{}{group}", self.groups);
        Ok(Reading {
            feed: self.feed.clone(),
            publisher: self.publisher.clone(),
            dead_letters: Topic::new(format!("{group}.dead-letters"))?,
            group: Group::new(group)?,
            topics: vec![self.topic.clone()],
        })
    }
}

impl Derived {
    /// In memory, or in Redis.
    pub(super) async fn open(
        settings: Option<&RedisSettings>,
        clock: &Arc<dyn Clock>,
    ) -> anyhow::Result<Self> {
        let Some(settings) = settings else {
            return Ok(Self {
                cache: Arc::new(MemoryAvailabilityCache::new()),
                timers: Arc::new(MemoryTimer::new(clock.clone())),
            });
        };
        let client = settings.connect().await?;
        let prefix = settings.redis_prefix.clone();
        let cache = RedisAvailability::new(client.clone()).with_prefix(prefix.clone());
        let timers = TimerOptions::default().with_prefix(prefix);
        Ok(Self {
            cache: Arc::new(cache),
            timers: Arc::new(RedisTimers::start(client, timers).await?),
        })
    }
}
