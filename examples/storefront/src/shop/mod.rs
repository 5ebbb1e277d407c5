//! The pieces of a shop, wired as in production, in one process.
//!
//! Catalogue writes reach search only through the change feed, stock reaches pages and search
//! only through `inventory_updates`, and reservations expire by timers.

mod live;
mod network;
mod pages;
mod readers;
mod search;
mod stock;
mod storage;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use service_kit::{KafkaSettings, Readiness, RedisSettings, Workers};
use stockade_catalog_core::rows::catalog_changes;
use stockade_catalog_core::{
    Availability, AvailabilityRefill, AvailabilityWorker, Catalog, CircuitConfig,
};
use stockade_change_feed::{
    Clock, Group, OnLostOffset, Start, SubscribeOptions, SystemClock, Topic,
};
use stockade_inventory_core::Inventory;
use stockade_inventory_core::workers::{ExpiryWorker, OutboxRelay, Retention};
use stockade_search_sync::Ingest;

use self::network::Network;
use self::pages::OwnProducts;
use self::stock::Derived;
use self::storage::Storage;

pub use self::live::{LiveStock, Watcher};
pub use self::network::Cut;
pub use self::pages::Health;
pub(crate) use self::pages::{Pages, Products};
pub use self::readers::Lag;
pub(crate) use self::readers::{Readers, Reading};
pub(crate) use self::search::Search;
pub(crate) use self::stock::StockLog;
pub(crate) use self::storage::Capture;

/// Writers of the catalogue wait while search or pages have this many unread records.
const BEHIND: u64 = 4_000;

/// Where a group starts that needs no earlier events.
pub(crate) const FROM_NOW: SubscribeOptions = SubscribeOptions {
    start: Start::Latest,
    on_lost_offset: OnLostOffset::Latest,
};

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
    /// Stock as it changes.
    pub live: Arc<LiveStock>,
    pub(crate) pages: Arc<Pages>,
    clock: Arc<dyn Clock>,
    cut: Cut,
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
        let captured = storage.capture.as_ref();
        let search = Search::open(options.search_dir.as_deref(), captured).await?;
        let stock_log = StockLog::open(options.kafka.as_ref(), &storage).await?;
        let Derived { cache, timers } = Derived::open(options.redis.as_ref(), &clock).await?;

        // In production, pages and the relay reach inventory over a network.
        let network = Arc::new(Network::new(
            storage.inventory.clone(),
            storage.outbox,
            options.cut.clone(),
        ));
        let availability = Arc::new(
            Availability::new(cache.clone(), network.clone()).with_circuit(options.circuit),
        );
        // An empty index needs the stock that was published long ago.
        let relay = OutboxRelay::new(
            network.clone(),
            network.clone(),
            stock_log.publisher.clone(),
        )
        .with_topic(stock_log.topic.clone())
        .republishing_first();
        let inventory = Inventory::new(storage.inventory.clone())
            .with_timer(timers.clone())
            .with_wake(relay.wake());

        let rows = Reading {
            feed: storage.feed,
            publisher: storage.publisher,
            group: Group::new("search")?,
            topics: vec![catalog_changes()],
            dead_letters: Topic::new("search.dead-letters")?,
        };
        let pages = stock_log.reading("availability")?;
        let stock = stock_log.reading("search-stock")?;
        let live_stock = stock_log.reading("live-stock")?;
        let live = Arc::new(LiveStock::new());
        // Rows and stock are merged into the same documents.
        let ingest = Ingest::new(search.index.clone(), search.generation, search.projection)?;
        let ingest = Arc::new(ingest.with_stock_topic(stock_log.topic));

        let catalog = Arc::new(Catalog::new(storage.catalog));
        let readiness = options.readiness;
        let shop = Arc::new(Self {
            catalog: catalog.clone(),
            inventory,
            availability: availability.clone(),
            live: live.clone(),
            pages: Arc::new(Pages {
                products: Arc::new(OwnProducts {
                    catalog,
                    availability: availability.clone(),
                }),
                search: search.index,
                live: live.clone(),
                readers: Readers {
                    readings: vec![rows.clone(), pages.clone(), stock.clone()],
                    readiness: readiness.clone(),
                },
            }),
            clock,
            cut: options.cut,
        });

        let mut workers = Workers::new(&readiness);
        shop.pages.readers.report_lag(&mut workers);
        // Two, so that one can expire reservations while the other waits for the store.
        for _ in 0..2 {
            let expiry = ExpiryWorker::new(storage.inventory.clone(), timers.clone())
                .with_wake(relay.wake());
            workers.spawn("expiry", |stop| expiry.run(stop));
        }
        let cached = Arc::new(AvailabilityWorker::new(cache.clone()));
        let cached = pages.consumer(cached);
        workers.spawn("availability", |stop| cached.run(stop));
        let rows = rows.consumer(ingest.clone());
        workers.spawn("ingestion", |stop| rows.run(stop));
        let stock = stock.consumer(ingest);
        workers.spawn("stock ingestion", |stop| stock.run(stop));
        // A page begins with a snapshot, so it needs no earlier events.
        let live = live_stock.consumer(live).with_options(FROM_NOW);
        workers.spawn("live stock", |stop| live.run(stop));
        workers.spawn("outbox relay", |stop| relay.run(stop));
        if let Some(capture) = storage.capture {
            workers.spawn("capture", |stop| capture.run(stop));
        }
        let retention = Retention::new(storage.retention);
        workers.spawn("retention", |stop| retention.run(stop));
        let refill = AvailabilityRefill::new(cache, network);
        workers.spawn("refill", |stop| refill.run(stop));
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
        &self.pages.readers.readiness
    }

    /// Waits while search or pages have too many unread changes. Does not wait once a worker has
    /// failed, because nothing may read them then.
    pub async fn room_for_rows(&self) {
        let readers = &self.pages.readers;
        while readers.failed_worker().is_none() && readers.most_behind().await >= BEHIND {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The health of the shop. Returns soon even if the log hangs.
    pub async fn health(&self) -> Health {
        self.pages.health().await
    }
}

impl fmt::Debug for Shop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shop").finish_non_exhaustive()
    }
}
