//! The pieces of a shop, wired as in production, in one process.
//!
//! Catalogue writes reach search only through the change feed, stock reaches pages and search
//! only through `inventory_updates`, and reservations expire by timers.

mod live;
mod network;
mod search;
mod storage;
mod workers;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::future::join_all;
use stockade_catalog_core::memory::MemoryAvailabilityCache;
use stockade_catalog_core::rows::catalog_changes;
use stockade_catalog_core::{
    Availability, AvailabilityRefill, AvailabilityWorker, Catalog, CircuitConfig, CircuitState,
};
use stockade_change_feed::{
    Clock, Consumer, DeadLetters, Feed, Group, Handler, OnLostOffset, PartitionLag, Publisher,
    Start, SubscribeOptions, SystemClock, Timestamp, Topic,
};
use stockade_inventory_core::memory::MemoryTimer;
use stockade_inventory_core::workers::{ExpiryWorker, OutboxRelay, Retention};
use stockade_inventory_core::{Inventory, InventoryStore, ReservationTimer, inventory_updates};
use stockade_search_sync::{Ingest, SearchIndex};

use self::network::Network;
use self::search::Search;
use self::storage::{Lifetime, Storage};

pub use self::live::{LiveStock, Watcher};
pub use self::network::Cut;
pub use self::workers::Workers;

/// Records that search and pages may be behind by before writers of the catalogue wait for them.
const BEHIND: u64 = 4_000;

/// How long a log may take to say how far its readers are behind, where health is asked for.
const HEALTH_WITHIN: Duration = Duration::from_millis(250);

/// What differs from shop to shop.
#[derive(Debug, Default)]
pub struct Options {
    /// When pages stop trusting the cache of stock.
    pub circuit: CircuitConfig,
    /// Cuts the way from pages to inventory.
    pub cut: Cut,
    /// How much is done at once, and how long is waited for.
    pub limits: Limits,
    /// Where the search index is kept; in memory if nowhere.
    pub search_dir: Option<PathBuf>,
    /// The database of everything else; in memory if none. Its shop is the only one that runs on
    /// it, as its search index and its cache are its own.
    pub postgres: Option<String>,
}

/// How much is done at once, and how long is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Requests that are served at once; more are told to come back.
    pub requests: usize,
    /// The longest that a body may take to arrive.
    pub body_within: Duration,
    /// The longest that the head of a connection's next request may take to arrive.
    pub headers_within: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests: 4096,
            body_within: Duration::from_secs(10),
            headers_within: Duration::from_secs(30),
        }
    }
}

/// A running shop: what its requests are served from.
pub struct Shop {
    /// Products.
    pub catalog: Catalog,
    /// Stock and reservations.
    pub inventory: Inventory,
    /// What pages know of stock.
    pub availability: Arc<Availability>,
    /// Search.
    pub search: Arc<dyn SearchIndex>,
    /// Stock as it changes.
    pub live: Arc<LiveStock>,
    clock: Arc<dyn Clock>,
    /// What search reads of the catalogue.
    rows: Reading,
    /// What search and pages read of stock.
    stock: Vec<Reading>,
    cut: Cut,
    limits: Limits,
    failed_worker: OnceLock<String>,
}

/// What a group reads, and where.
#[derive(Clone)]
struct Reading {
    feed: Arc<dyn Feed>,
    group: Group,
    topics: Vec<Topic>,
}

/// How a shop is doing.
#[derive(Debug)]
pub struct Health {
    /// A worker that ended although nobody stopped it.
    pub failed_worker: Option<String>,
    /// The state of the circuit between pages and the cache of stock.
    pub circuit: CircuitState,
    /// How far each group of readers is behind.
    pub lag: Vec<Lag>,
}

/// How far a group of readers is behind.
#[derive(Debug)]
pub struct Lag {
    /// The group.
    pub group: String,
    /// Its unread records; none where the log can't say.
    pub records: Option<u64>,
    /// The age of the oldest of them; none where the log can't say.
    pub age: Option<Duration>,
}

impl Shop {
    /// Starts a shop: empty, or with what its database has.
    ///
    /// # Errors
    /// Where a piece refuses its settings, or the database can't be reached.
    pub async fn start(options: Options) -> anyhow::Result<(Arc<Self>, Workers)> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let storage = match &options.postgres {
            None => Storage::memory(&clock),
            Some(url) => Storage::postgres(url).await?,
        };
        let search = Search::open(options.search_dir.as_deref(), &storage.lifetime).await?;
        let log = storage.publisher;

        let timer = Arc::new(MemoryTimer::new(clock.clone()));
        let cache = Arc::new(MemoryAvailabilityCache::new());
        // Reached only by what runs elsewhere in production.
        let network = Arc::new(Network::new(
            storage.inventory.clone(),
            storage.outbox,
            options.cut.clone(),
        ));
        let availability =
            Availability::new(cache.clone(), network.clone()).with_circuit(options.circuit);

        let reading = |group: &str, topic| {
            anyhow::Ok(Reading {
                feed: storage.feed.clone(),
                group: Group::new(group)?,
                topics: vec![topic],
            })
        };
        let pages = reading("availability", inventory_updates())?;
        let rows = reading("search", catalog_changes())?;
        let stock = reading("search-stock", inventory_updates())?;
        let live = Arc::new(LiveStock::new());
        let live_stock = reading("live-stock", inventory_updates())?;
        // Both write the same documents, each where it has read last.
        let ingest = Arc::new(Ingest::new(
            search.index.clone(),
            search.generation,
            search.projection,
        )?);

        let shop = Arc::new(Self {
            catalog: Catalog::new(storage.catalog),
            inventory: Inventory::new(storage.inventory.clone()).with_timer(timer.clone()),
            availability: Arc::new(availability),
            search: search.index,
            live: live.clone(),
            clock,
            rows: rows.clone(),
            stock: vec![pages.clone(), stock.clone()],
            cut: options.cut,
            limits: options.limits,
            failed_worker: OnceLock::new(),
        });

        let mut workers = Workers::new();
        workers.expire(&shop, &storage.inventory, &timer);
        workers.consume(
            &shop,
            "availability",
            pages.consumer(&log, Arc::new(AvailabilityWorker::new(cache.clone())))?,
        );
        workers.consume(&shop, "ingestion", rows.consumer(&log, ingest.clone())?);
        workers.consume(&shop, "stock ingestion", stock.consumer(&log, ingest)?);
        // Pages begin with a snapshot: what was before is nothing to them.
        let from_now = SubscribeOptions {
            start: Start::Latest,
            on_lost_offset: OnLostOffset::Latest,
        };
        workers.consume(
            &shop,
            "live stock",
            live_stock.consumer(&log, live)?.with_options(from_now),
        );
        // The index may begin with nothing while all stock is long published.
        let relay = OutboxRelay::new(network.clone(), network.clone(), log).republishing_first();
        workers.spawn(&shop, "outbox relay", |stop| async move {
            relay.run(stop).await;
            anyhow::Ok(())
        });
        if let Lifetime::Beyond(capture) = storage.lifetime {
            workers.spawn(&shop, "capture", |stop| async move {
                capture.run(stop).await;
                anyhow::Ok(())
            });
        }
        let retention = Retention::new(storage.retention);
        workers.spawn(&shop, "retention", |stop| async move {
            retention.run(stop).await;
            anyhow::Ok(())
        });
        let refill = AvailabilityRefill::new(cache, network);
        workers.spawn(&shop, "refill", |stop| async move {
            refill.run(stop).await;
            anyhow::Ok(())
        });
        let availability = shop.availability.clone();
        workers.spawn(&shop, "lag watch", move |stop| async move {
            availability
                .watch_lag(pages.feed.as_ref(), &pages.group, &pages.topics, stop)
                .await;
            anyhow::Ok(())
        });
        workers.spawn(&shop, "metrics", |stop| async move {
            crate::telemetry::keep_up(stop).await;
            anyhow::Ok(())
        });
        Ok((shop, workers))
    }

    /// The time on the store's clock, which is this process's.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Cuts the way from pages to inventory.
    #[must_use]
    pub fn cut(&self) -> &Cut {
        &self.cut
    }

    /// How much is done at once, and how long is waited for.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Waits while search or pages are too far behind, so that the changes they have yet to read
    /// stay few. Ends as well when there is nobody to wait for.
    pub async fn room_for_rows(&self) {
        while self.failed_worker.get().is_none() && self.most_behind().await >= BEHIND {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Unread records of the group that has the most, as far as logs can say.
    async fn most_behind(&self) -> u64 {
        let mut most = 0;
        for reading in self.stock.iter().chain([&self.rows]) {
            most = most.max(reading.lag().await.records.unwrap_or(0));
        }
        most
    }

    /// How the shop is doing.
    pub async fn health(&self) -> Health {
        let readings = [&self.rows].into_iter().chain(&self.stock);
        Health {
            failed_worker: self.failed_worker.get().cloned(),
            circuit: self.availability.circuit(),
            lag: join_all(readings.map(Reading::lag_for_health)).await,
        }
    }
}

impl Reading {
    /// A worker that reads it, whose dead letters go to the log.
    fn consumer(
        &self,
        log: &Arc<dyn Publisher>,
        handler: Arc<dyn Handler>,
    ) -> anyhow::Result<Consumer> {
        let dead_letters = Topic::new(format!("{}.dead-letters", self.group))?;
        let (group, topics) = (self.group.clone(), self.topics.clone());
        Ok(Consumer::new(self.feed.clone(), group, topics, handler)
            .with_dead_letters(DeadLetters::new(log.clone(), dead_letters)))
    }

    async fn lag(&self) -> Lag {
        let partitions = self.feed.lag(&self.group, &self.topics).await.ok();
        self.lag_of(partitions.as_deref())
    }

    /// Whoever asks for the shop's health waits for no log that hangs.
    async fn lag_for_health(&self) -> Lag {
        let asked = tokio::time::timeout(HEALTH_WITHIN, self.lag()).await;
        asked.unwrap_or_else(|_| self.lag_of(None))
    }

    fn lag_of(&self, partitions: Option<&[PartitionLag]>) -> Lag {
        Lag {
            group: self.group.to_string(),
            records: partitions.and_then(|all| all.iter().map(|one| one.records).sum()),
            age: partitions
                .and_then(|all| all.iter().map(|one| one.age).collect::<Option<Vec<_>>>())
                .map(|ages| ages.into_iter().max().unwrap_or_default()),
        }
    }
}

impl Workers {
    /// Ends reservations whose time is up.
    fn expire(
        &mut self,
        shop: &Arc<Shop>,
        store: &Arc<dyn InventoryStore>,
        timer: &Arc<impl ReservationTimer + 'static>,
    ) {
        for _ in 0..2 {
            let worker = ExpiryWorker::new(store.clone(), timer.clone());
            self.spawn(shop, "expiry", |stop| async move {
                worker.run(stop).await;
                anyhow::Ok(())
            });
        }
    }

    fn consume(&mut self, shop: &Arc<Shop>, name: &'static str, consumer: Consumer) {
        self.spawn(shop, name, |stop| async move {
            consumer.run(stop).await?;
            anyhow::Ok(())
        });
    }
}

impl fmt::Debug for Shop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shop").finish_non_exhaustive()
    }
}
