//! The pieces of a shop, wired as in production, in one process.
//!
//! Catalogue writes reach search only through the change feed, stock reaches pages and search
//! only through `inventory_updates`, and reservations expire by timers.

mod live;
mod network;
mod search;
mod stock;
mod storage;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use service_kit::{KafkaSettings, Readiness, RedisSettings, Workers};
use stockade_catalog_core::rows::catalog_changes;
use stockade_catalog_core::{
    Availability, AvailabilityRefill, AvailabilityWorker, Catalog, CircuitConfig, CircuitState,
};
use stockade_change_feed::{
    Clock, Consumer, DeadLetters, Feed, Group, Handler, OnLostOffset, PartitionLag, Publisher,
    Start, SubscribeOptions, SystemClock, Topic,
};
use stockade_inventory_core::Inventory;
use stockade_inventory_core::workers::{ExpiryWorker, OutboxRelay, Retention};
use stockade_search_sync::{Ingest, SearchIndex};

use self::network::Network;
use self::search::Search;
use self::stock::{Derived, StockLog};
use self::storage::{Lifetime, Storage};

pub use self::live::{LiveStock, Watcher};
pub use self::network::Cut;

/// Writers of the catalogue wait while search or pages have this many unread records.
const BEHIND: u64 = 4_000;

/// The longest time that the health of the shop waits for a log.
const HEALTH_WITHIN: Duration = Duration::from_millis(250);

/// The options of a shop.
#[derive(Debug, Default)]
pub struct Options {
    /// When pages stop trusting the cache of stock.
    pub circuit: CircuitConfig,
    /// Cuts the connection from pages to inventory.
    pub cut: Cut,
    /// Reports the workers that fail.
    pub readiness: Readiness,
    /// The directory of the search index; in memory if none.
    pub search_dir: Option<PathBuf>,
    /// The database of everything else; in memory if none. Only one shop can use a database,
    /// because its search index and its cache are not shared.
    pub postgres: Option<String>,
    /// Where the cache of stock and the timers of reservations are; in memory if none. Needs a
    /// database.
    pub redis: Option<RedisSettings>,
    /// The log of stock events; that of the database if none. Needs a database.
    pub kafka: Option<KafkaSettings>,
}

/// A running shop.
pub struct Shop {
    /// Products.
    pub catalog: Arc<Catalog>,
    /// Stock and reservations.
    pub inventory: Inventory,
    /// The stock that pages show.
    pub availability: Arc<Availability>,
    /// Search.
    pub search: Arc<dyn SearchIndex>,
    /// Stock as it changes.
    pub live: Arc<LiveStock>,
    clock: Arc<dyn Clock>,
    /// How search reads the catalogue.
    rows: Reading,
    /// How search and pages read stock.
    stock: Vec<Reading>,
    cut: Cut,
    readiness: Readiness,
}

/// A consumer group, and the topics that it reads. Its dead letters go to the same log.
#[derive(Clone)]
struct Reading {
    feed: Arc<dyn Feed>,
    publisher: Arc<dyn Publisher>,
    group: Group,
    topics: Vec<Topic>,
}

/// The health of a shop.
#[derive(Debug)]
pub struct Health {
    /// The first worker that failed, and why.
    pub failed_worker: Option<String>,
    /// The state of the availability circuit.
    pub circuit: CircuitState,
    /// How far each consumer group is behind.
    pub lag: Vec<Lag>,
}

/// How far a consumer group is behind.
#[derive(Debug)]
pub struct Lag {
    /// The group.
    pub group: String,
    /// Its unread records; none if the log does not answer.
    pub records: Option<u64>,
    /// The age of the oldest unread record; none if the log does not answer.
    pub age: Option<Duration>,
}

impl Shop {
    /// Starts a shop: empty, or with the data of its database.
    ///
    /// # Errors
    /// If an option is not allowed, or a server is unavailable.
    pub async fn start(options: Options) -> anyhow::Result<(Arc<Self>, Workers)> {
        stock::check(&options)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let storage = match &options.postgres {
            None => Storage::memory(&clock),
            Some(url) => Storage::postgres(url).await?,
        };
        let search = Search::open(options.search_dir.as_deref(), &storage.lifetime).await?;
        let stock_log = StockLog::open(options.kafka.as_ref(), &storage).await?;
        let Derived { cache, timers } = Derived::open(options.redis.as_ref(), &clock).await?;

        // In production, pages and the relay reach inventory over a network.
        let network = Arc::new(Network::new(
            storage.inventory.clone(),
            storage.outbox,
            options.cut.clone(),
        ));
        let availability =
            Availability::new(cache.clone(), network.clone()).with_circuit(options.circuit);

        let rows = Reading {
            feed: storage.feed,
            publisher: storage.publisher,
            group: Group::new("search")?,
            topics: vec![catalog_changes()],
        };
        let pages = stock_log.reading("availability")?;
        let stock = stock_log.reading("search-stock")?;
        let live_stock = stock_log.reading("live-stock")?;
        let live = Arc::new(LiveStock::new());
        // Rows and stock are merged into the same documents.
        let ingest = Arc::new(Ingest::new(
            search.index.clone(),
            search.generation,
            search.projection,
        )?);

        let shop = Arc::new(Self {
            catalog: Arc::new(Catalog::new(storage.catalog)),
            inventory: Inventory::new(storage.inventory.clone()).with_timer(timers.clone()),
            availability: Arc::new(availability),
            search: search.index,
            live: live.clone(),
            clock,
            rows: rows.clone(),
            stock: vec![pages.clone(), stock.clone()],
            cut: options.cut,
            readiness: options.readiness,
        });

        let mut workers = Workers::new(&shop.readiness);
        // Two, so that one can expire reservations while the other waits for the store.
        for _ in 0..2 {
            let expiry = ExpiryWorker::new(storage.inventory.clone(), timers.clone());
            workers.spawn("expiry", |stop| expiry.run(stop));
        }
        let cached = Arc::new(AvailabilityWorker::new(cache.clone()));
        let cached = pages.consumer(cached)?;
        workers.spawn("availability", |stop| cached.run(stop));
        let rows = rows.consumer(ingest.clone())?;
        workers.spawn("ingestion", |stop| rows.run(stop));
        let stock = stock.consumer(ingest)?;
        workers.spawn("stock ingestion", |stop| stock.run(stop));
        // A page begins with a snapshot, so it needs no earlier events.
        let from_now = SubscribeOptions {
            start: Start::Latest,
            on_lost_offset: OnLostOffset::Latest,
        };
        let live = live_stock.consumer(live)?.with_options(from_now);
        workers.spawn("live stock", |stop| live.run(stop));
        // An empty index needs the stock that was published long ago.
        let relay = OutboxRelay::new(network.clone(), network.clone(), stock_log.publisher)
            .with_topic(stock_log.topic)
            .republishing_first();
        workers.spawn("outbox relay", |stop| relay.run(stop));
        if let Lifetime::Beyond(capture) = storage.lifetime {
            workers.spawn("capture", |stop| capture.run(stop));
        }
        let retention = Retention::new(storage.retention);
        workers.spawn("retention", |stop| retention.run(stop));
        let refill = AvailabilityRefill::new(cache, network);
        workers.spawn("refill", |stop| refill.run(stop));
        let availability = shop.availability.clone();
        workers.spawn("lag watch", |stop| async move {
            availability
                .watch_lag(pages.feed.as_ref(), &pages.group, &pages.topics, stop)
                .await;
        });
        Ok((shop, workers))
    }

    /// The clock of the stores.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Cuts the connection from pages to inventory.
    #[must_use]
    pub fn cut(&self) -> &Cut {
        &self.cut
    }

    /// Reports the workers that failed.
    #[must_use]
    pub fn readiness(&self) -> &Readiness {
        &self.readiness
    }

    /// Waits while search or pages have too many unread changes. Does not wait once a worker has
    /// failed, because nothing may read them then.
    pub async fn room_for_rows(&self) {
        while self.failed_worker().is_none() && self.most_behind().await >= BEHIND {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The first worker that failed, and why.
    fn failed_worker(&self) -> Option<String> {
        let failed = self.readiness.failed_workers().into_iter().next()?;
        Some(format!("{}: {}", failed.worker, failed.reason))
    }

    /// The most unread records of a group.
    async fn most_behind(&self) -> u64 {
        let mut most = 0;
        for reading in self.stock.iter().chain([&self.rows]) {
            most = most.max(reading.lag().await.records.unwrap_or(0));
        }
        most
    }

    /// The health of the shop. Returns soon even if the log hangs.
    pub async fn health(&self) -> Health {
        let readings = [&self.rows].into_iter().chain(&self.stock);
        Health {
            failed_worker: self.failed_worker(),
            circuit: self.availability.circuit(),
            lag: join_all(readings.map(Reading::lag_for_health)).await,
        }
    }
}

impl Reading {
    /// A worker that reads them.
    fn consumer(&self, handler: Arc<dyn Handler>) -> anyhow::Result<Consumer> {
        let dead_letters = DeadLetters::new(self.publisher.clone(), self.dead_letters()?);
        let (group, topics) = (self.group.clone(), self.topics.clone());
        Ok(
            Consumer::new(self.feed.clone(), group, topics, handler)
                .with_dead_letters(dead_letters),
        )
    }

    /// The topic of its dead letters.
    fn dead_letters(&self) -> anyhow::Result<Topic> {
        Ok(Topic::new(format!("{}.dead-letters", self.group))?)
    }

    async fn lag(&self) -> Lag {
        let partitions = self.feed.lag(&self.group, &self.topics).await.ok();
        self.lag_of(partitions.as_deref())
    }

    /// As [`lag`](Self::lag), but does not wait for a log that hangs.
    async fn lag_for_health(&self) -> Lag {
        let asked = tokio::time::timeout(HEALTH_WITHIN, self.lag()).await;
        asked.unwrap_or_else(|_| self.lag_of(None))
    }

    fn lag_of(&self, partitions: Option<&[PartitionLag]>) -> Lag {
        let (records, age) = partitions.map_or((None, None), PartitionLag::total);
        Lag {
            group: self.group.to_string(),
            records,
            age,
        }
    }
}

impl fmt::Debug for Shop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shop").finish_non_exhaustive()
    }
}
