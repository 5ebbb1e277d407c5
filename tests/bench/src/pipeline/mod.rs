//! From a commit in Postgres through the relay, Kafka and the availability worker to Redis, in one
//! process over real servers.

mod bare;
mod memory;
mod visible;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use futures::future::join_all;
use sqlx::postgres::PgPoolOptions;
use stack::Server;
use stockade_catalog_core::{AvailabilityWorker, CacheEntry};
use stockade_change_feed::{Consumer, Group, Topic};
use stockade_inventory_core::workers::OutboxRelay;
use stockade_inventory_core::{
    Adjustment, Inventory, InventoryStore as _, OperationId, Reason, Sku, StockChange,
    StockSource as _,
};
use stockade_kafka::{KafkaClient, KafkaConfig, KafkaFeed, KafkaPublisher, TopicSettings};
use stockade_postgres::PostgresInventory;
use stockade_redis::{RedisAvailability, connect};
use tokio::sync::watch;
use tokio::task::{JoinHandle, block_in_place};

use self::visible::Visible;
use crate::Form;
use crate::measure::{Latencies, paced};

pub(crate) use self::memory::{Args as WorkerArgs, work};

/// Units of each SKU at first.
const UNITS: u64 = 1_000_000;
/// SKUs that are written in one call.
const BATCH: usize = 500;
/// SKUs that are changed in one call.
const CALL: usize = 10;
/// As inventory's service creates the topic.
const PARTITIONS: u32 = 12;
const CONNECTIONS: u32 = 16;
/// How long everything may take to arrive.
const PATIENCE: Duration = Duration::from_secs(300);

/// How much to do.
struct Plan {
    /// SKUs whose levels wait in the outbox.
    backlog: usize,
    /// Changes a second, each of another SKU within a second, and for how many seconds.
    rates: [(usize, usize); 2],
    /// Events that wait in Kafka while the worker's memory is measured.
    events: u64,
}

pub(crate) async fn run(form: Form) -> anyhow::Result<()> {
    let plan = match form {
        Form::Short => Plan {
            backlog: 2_000,
            rates: [(20, 1), (100, 2)],
            events: 20_000,
        },
        Form::Full => Plan {
            backlog: 200_000,
            rates: [(20, 20), (1_000, 30)],
            events: 1_000_000,
        },
    };
    // Of their own: whatever else they do would be measured too.
    let postgres = block_in_place(stack::Postgres::start)?;
    let redis = block_in_place(stack::Redis::start)?;
    let kafka = block_in_place(|| stack::KafkaOptions::new().compiled_well().start())?;
    let servers = Servers {
        postgres: postgres.url(),
        redis: redis.url(),
        kafka: kafka.url(),
    };
    let chain = Chain::open(&servers, &plan).await?;
    let running = chain.start();
    let outcome = chain.measure(&servers, &plan).await;
    running.stop().await?;
    outcome?;
    memory::measure(form, &servers, plan.events).await
}

/// Where they are.
struct Servers {
    postgres: String,
    redis: String,
    kafka: String,
}

impl Servers {
    async fn kafka(&self, topic: &Topic) -> anyhow::Result<KafkaClient> {
        let client = KafkaClient::connect(KafkaConfig::new([&self.kafka])?).await?;
        client
            .ensure_topic(topic, &TopicSettings::new(PARTITIONS))
            .await?;
        Ok(client)
    }
}

/// All from the store to the cache.
struct Chain {
    store: Arc<PostgresInventory>,
    /// Wakes the relay.
    inventory: Inventory,
    relay: OutboxRelay,
    kafka: KafkaClient,
    topic: Topic,
    visible: Arc<Visible>,
    skus: Vec<Sku>,
    /// When the stock of all SKUs waited in the outbox.
    loaded: Instant,
}

impl Chain {
    async fn open(servers: &Servers, plan: &Plan) -> anyhow::Result<Self> {
        let options = PgPoolOptions::new().max_connections(CONNECTIONS);
        let pool = options.connect(&servers.postgres).await?;
        let store = PostgresInventory::new(pool);
        store.migrate().await?;
        let skus = (0..plan.backlog).map(|n| Sku::new(format!("sku-{n}")));
        let skus: Vec<Sku> = skus.collect::<Result<_, _>>()?;
        for skus in skus.chunks(BATCH) {
            for outcome in store.adjust(&set(skus, UNITS)?).await? {
                outcome?;
            }
        }
        let topic = stockade_inventory_core::inventory_updates();
        let cache = RedisAvailability::new(connect(&servers.redis).await?);
        let (store, kafka) = (Arc::new(store), servers.kafka(&topic).await?);
        let publisher = Arc::new(KafkaPublisher::new(kafka.clone()));
        let relay = OutboxRelay::new(store.clone(), store.clone(), publisher);
        // A machine with much to do is slow, and answers.
        let inventory = Inventory::new(store.clone()).with_timeout(PATIENCE);
        Ok(Self {
            inventory: inventory.with_wake(relay.wake()),
            store,
            relay,
            kafka,
            topic,
            visible: Arc::new(Visible::in_cache(cache)),
            skus,
            loaded: Instant::now(),
        })
    }

    /// The relay and the worker.
    fn start(&self) -> Running {
        let (stop, stopped) = watch::channel(false);
        let stopped = || {
            let mut stopped = stopped.clone();
            async move {
                stopped.wait_for(|stop| *stop).await.ok();
            }
        };
        let feed = Arc::new(KafkaFeed::new(self.kafka.clone()));
        let worker = Arc::new(AvailabilityWorker::new(self.visible.clone()));
        let group = Group::new("availability").expect("it is a name");
        let consumer = Consumer::new(feed, group, vec![self.topic.clone()], worker);
        let (relayed, consumed) = (self.relay.clone().run(stopped()), consumer.run(stopped()));
        let tasks = vec![
            tokio::spawn(async move {
                relayed.await;
                Ok(())
            }),
            tokio::spawn(async move { Ok(consumed.await?) }),
        ];
        Running { stop, tasks }
    }

    async fn measure(&self, servers: &Servers, plan: &Plan) -> anyhow::Result<()> {
        self.visible.wait_for(self.skus.len(), PATIENCE).await?;
        let ours = self.skus.len() as f64 / self.loaded.elapsed().as_secs_f64();
        self.agree().await?;
        let bare = bare::measure(servers, &self.skus).await?;
        println!(
            "{:36} {:>10} {:>10} {:>6}",
            "events a second over a backlog", "bare", "ours", "ratio"
        );
        println!(
            "{:36} {bare:>10.0} {ours:>10.0} {:>6.2}",
            format!("{} SKUs", self.skus.len()),
            ours / bare
        );
        println!(
            "\n{:36} {:>11} {:>11} {:>9} {:>9}",
            "changes, 10 in a call", "commit p50", "commit p99", "Redis p50", "Redis p99"
        );
        let mut skus = &self.skus[..];
        for (rate, seconds) in plan.rates {
            let (own, rest) = skus.split_at(rate);
            self.latency(own, seconds).await?;
            skus = rest;
        }
        self.agree().await
    }

    /// Redis says of each SKU what Postgres says.
    async fn agree(&self) -> anyhow::Result<()> {
        for skus in self.skus.chunks(BATCH) {
            let stock = self.store.stock(skus).await?;
            let read = self.visible.read_all(skus).await?;
            for (stock, entry) in stock.iter().zip(&read.entries) {
                let stock = stock.as_ref().map(|stock| CacheEntry::Known {
                    available: stock.available(),
                    version: stock.version(),
                });
                ensure!(stock == *entry, "{stock:?} in Postgres, {entry:?} in Redis");
            }
        }
        Ok(())
    }

    /// Changes each SKU every second, some in one call, and prints how long it took until their
    /// commit, and from there until they were in Redis.
    async fn latency(&self, skus: &[Sku], seconds: usize) -> anyhow::Result<()> {
        let calls: Vec<&[Sku]> = skus.chunks(CALL).collect();
        let pace = Duration::from_secs(1) / u32::try_from(calls.len())?;
        let committed = paced(calls.len() * seconds, pace, |number| {
            let (inventory, visible) = (self.inventory.clone(), self.visible.clone());
            let skus = calls[number % calls.len()].to_vec();
            let left = UNITS - (number / calls.len()) as u64 - 1;
            async move {
                for outcome in inventory.adjust(&set(&skus, left)?).await? {
                    outcome?;
                }
                for sku in skus {
                    visible.committed(sku, left);
                }
                Ok(())
            }
        });
        let committed = Latencies::new(committed.await?);
        let changes = skus.len() * seconds;
        let visible = self.visible.all_arrived(changes, PATIENCE).await?;
        let visible = Latencies::new(visible);
        println!(
            "{:36} {:>11.2?} {:>11.2?} {:>9.2?} {:>9.2?}",
            format!("{} a second", skus.len()),
            committed.percentile(50),
            committed.percentile(99),
            visible.percentile(50),
            visible.percentile(99),
        );
        Ok(())
    }
}

/// What runs beside the measurement.
struct Running {
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<anyhow::Result<()>>>,
}

impl Running {
    async fn stop(self) -> anyhow::Result<()> {
        self.stop.send_replace(true);
        for ended in join_all(self.tasks).await {
            ended??;
        }
        Ok(())
    }
}

/// The stock of these SKUs becomes that many units.
fn set(skus: &[Sku], units: u64) -> anyhow::Result<Vec<Adjustment>> {
    let set = skus.iter().map(|sku| {
        let operation = OperationId::new(format!("{sku} has {units}"))?;
        let (change, reason) = (StockChange::Set(units), Reason::new("counted")?);
        Ok(Adjustment::new(operation, sku.clone(), change, reason))
    });
    set.collect()
}
