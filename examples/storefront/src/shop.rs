//! The pieces of a shop, wired as in production, in one process and in memory.
//!
//! Catalogue writes reach search only through the change feed, stock reaches pages and search
//! only through `inventory_updates`, and reservations expire by timers.

use std::future::Future;
use std::sync::{Arc, OnceLock};

use anyhow::Context as _;
use stockade_catalog_core::memory::{MemoryAvailabilityCache, MemoryCatalog};
use stockade_catalog_core::rows::catalog_changes;
use stockade_catalog_core::{Availability, AvailabilityRefill, AvailabilityWorker, Catalog, CircuitConfig};
use stockade_change_feed::memory::MemoryFeed;
use stockade_change_feed::{
    Clock, Consumer, DeadLetters, Feed, Group, Handler, SystemClock, Timestamp, Topic,
};
use stockade_inventory_core::memory::{MemoryInventory, MemoryTimer};
use stockade_inventory_core::workers::{ExpiryWorker, OutboxRelay};
use stockade_inventory_core::{Inventory, inventory_updates};
use stockade_search_sync::memory::MemoryIndex;
use stockade_search_sync::{Generation, IndexWriter, Ingest, Projection, SearchIndex};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::network::{Cut, Network};

/// Records of a topic that are kept in each partition for readers that fall behind.
const RETENTION: usize = 100_000;

/// What differs from shop to shop.
#[derive(Debug, Default)]
pub struct Options {
    /// When pages stop trusting the cache of stock.
    pub circuit: CircuitConfig,
    /// Cuts the way from pages to inventory.
    pub cut: Cut,
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
    clock: Arc<dyn Clock>,
    feed: MemoryFeed,
    readers: Vec<(Group, Vec<Topic>)>,
    cut: Cut,
    failed_worker: OnceLock<String>,
}

/// How a shop is doing.
pub struct Health {
    /// A worker that ended although nobody stopped it.
    pub failed_worker: Option<String>,
    /// The state of the circuit between pages and the cache of stock.
    pub circuit: &'static str,
    /// Unread records of each group of readers.
    pub lag: Vec<(String, Option<u64>)>,
}

/// The workers of a shop. They end when they are [stopped](Workers::stop).
pub struct Workers {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Shop {
    /// Starts an empty shop.
    ///
    /// # Errors
    /// Where a piece refuses its settings.
    pub async fn start(options: Options) -> anyhow::Result<(Arc<Self>, Workers)> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let feed = MemoryFeed::new(clock.clone());
        feed.retain(&inventory_updates(), RETENTION);
        let log: Arc<dyn Feed> = Arc::new(feed.clone());

        let store = Arc::new(MemoryInventory::new(clock.clone()));
        let timer = Arc::new(MemoryTimer::new(clock.clone()));
        let inventory = Inventory::new(store.clone()).with_timer(timer.clone());

        let products = MemoryCatalog::new().publishing_to(feed.clone(), catalog_changes());
        let catalog = Catalog::new(Arc::new(products));

        let cache = Arc::new(MemoryAvailabilityCache::new());
        // Reached only by what runs elsewhere in production.
        let network = Arc::new(Network::new(store.as_ref().clone(), options.cut.clone()));
        let availability =
            Availability::new(cache.clone(), network.clone()).with_circuit(options.circuit);
        let availability = Arc::new(availability);

        let index = Arc::new(MemoryIndex::new());
        let generation = Generation::new("products-1")?;
        let projection = Projection::catalog();
        index.create(&generation, &projection).await.context("the search index")?;
        index.activate(&generation).await.context("the search index")?;

        let stock_readers = Group::new("availability")?;
        let search_readers = Group::new("search-products-1")?;
        let search_topics = vec![catalog_changes(), inventory_updates()];
        let ingest = Ingest::new(index.clone(), generation, projection);
        let consumer = |group: &Group, topics: &[Topic], handler: Arc<dyn Handler>| {
            let dead_letters = Topic::new(format!("{group}.dead-letters"))?;
            anyhow::Ok(
                Consumer::new(log.clone(), group.clone(), topics.to_vec(), handler)
                    .with_dead_letters(DeadLetters::new(Arc::new(feed.clone()), dead_letters)),
            )
        };
        let stock_consumer = consumer(
            &stock_readers,
            &[inventory_updates()],
            Arc::new(AvailabilityWorker::new(cache.clone())),
        )?;
        let search_consumer = consumer(&search_readers, &search_topics, Arc::new(ingest))?;
        let relay = OutboxRelay::new(network.clone(), network.clone(), Arc::new(feed.clone()));
        let refill = AvailabilityRefill::new(cache, network);

        let shop = Arc::new(Self {
            catalog,
            inventory,
            availability: availability.clone(),
            search: index,
            clock,
            feed,
            readers: vec![
                (stock_readers.clone(), vec![inventory_updates()]),
                (search_readers, search_topics),
            ],
            cut: options.cut,
            failed_worker: OnceLock::new(),
        });

        let mut workers = Workers::new();
        for _ in 0..2 {
            let worker = ExpiryWorker::new(store.clone(), timer.clone());
            workers.spawn(&shop, "expiry", |stop| async move {
                worker.run(stop).await;
                anyhow::Ok(())
            });
        }
        workers.spawn(&shop, "outbox relay", |stop| async move {
            relay.run(stop).await;
            anyhow::Ok(())
        });
        workers.spawn(&shop, "availability", |stop| async move {
            Ok(stock_consumer.run(stop).await?)
        });
        workers.spawn(&shop, "ingestion", |stop| async move {
            Ok(search_consumer.run(stop).await?)
        });
        workers.spawn(&shop, "refill", |stop| async move {
            refill.run(stop).await;
            anyhow::Ok(())
        });
        workers.spawn(&shop, "lag watch", move |stop| async move {
            availability.watch_lag(log, stock_readers, vec![inventory_updates()], stop).await;
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

    /// How the shop is doing.
    pub async fn health(&self) -> Health {
        let mut lag = Vec::new();
        for (group, topics) in &self.readers {
            let records = match self.feed.lag(group, topics).await {
                Ok(partitions) => partitions.iter().map(|partition| partition.records).sum(),
                Err(_) => None,
            };
            lag.push((group.to_string(), records));
        }
        Health {
            failed_worker: self.failed_worker.get().cloned(),
            circuit: self.availability.circuit().as_str(),
            lag,
        }
    }
}

impl Workers {
    fn new() -> Self {
        Self { stop: watch::Sender::new(false), tasks: JoinSet::new() }
    }

    /// Spawns a worker, and notes in the shop's health when it ends by itself.
    fn spawn<F, R>(&mut self, shop: &Arc<Shop>, name: &'static str, worker: F)
    where
        F: FnOnce(std::pin::Pin<Box<dyn Future<Output = ()> + Send>>) -> R,
        R: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let mut stopped = self.stop.subscribe();
        let stopping = stopped.clone();
        let stop = Box::pin(async move {
            // Without a sender there is nobody left to stop it for.
            let _ = stopped.wait_for(|stop| *stop).await;
        });
        let run = tokio::spawn(worker(stop));
        let shop = shop.clone();
        self.tasks.spawn(async move {
            let ended = run.await;
            if *stopping.borrow() {
                return;
            }
            let reason = match ended {
                Ok(Ok(())) => "it ended".to_owned(),
                Ok(Err(error)) => format!("{error:#}"),
                Err(error) => error.to_string(),
            };
            tracing::error!(worker = name, reason, "a worker has ended");
            let _ = shop.failed_worker.set(format!("{name}: {reason}"));
        });
    }

    /// Ends all workers, and waits until what they had in hand is finished.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        while self.tasks.join_next().await.is_some() {}
    }
}
