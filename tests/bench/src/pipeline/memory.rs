//! The memory of the availability worker over a backlog, in a process of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use anyhow::Context as _;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use stockade_catalog_core::AvailabilityWorker;
use stockade_change_feed::{
    Batch, Clock as _, Consumer, Disposition, Group, Handler, Message, Publisher as _, SystemClock,
    Topic,
};
use stockade_inventory_core::{Sku, StockChanged, Version};
use stockade_kafka::{KafkaClient, KafkaConfig, KafkaFeed, KafkaPublisher};
use stockade_redis::{RedisAvailability, connect};
use tokio::sync::watch;

use super::Servers;
use crate::Form;
use crate::measure::{in_child, memory_of, mib};

const TOPIC: &str = "backlog";
/// SKUs that the events are of.
const SKUS: u64 = 10_000;
/// Events that are published in one call.
const BATCH: u64 = 5_000;

/// Where the servers are, and how many events wait.
#[derive(clap::Args)]
pub(crate) struct Args {
    kafka: String,
    redis: String,
    events: u64,
}

/// What the process found.
#[derive(Serialize, Deserialize)]
struct Found {
    /// Resident bytes after a tenth of the events, and after all.
    early: u64,
    late: u64,
    peak: u64,
    /// Events a second.
    rate: f64,
}

/// Publishes a backlog, and lets a process work it off.
pub(super) async fn measure(form: Form, servers: &Servers, events: u64) -> anyhow::Result<()> {
    let topic = Topic::new(TOPIC)?;
    let publisher = KafkaPublisher::new(servers.kafka(&topic).await?);
    let now = SystemClock::new().now();
    for first in (0..events).step_by(usize::try_from(BATCH)?) {
        let messages = (first..events.min(first + BATCH)).map(|number| {
            let sku = Sku::new(format!("sku-{}", number % SKUS))?;
            let version = Version::new(0, number / SKUS + 1);
            Ok(StockChanged::new(sku, number, version, now).to_message())
        });
        let messages: Vec<Message> = messages.collect::<anyhow::Result<_>>()?;
        for outcome in publisher.publish(&topic, messages).await? {
            outcome?;
        }
    }
    let count = events.to_string();
    let arguments = [
        "availability-worker",
        &servers.kafka,
        &servers.redis,
        &count,
    ];
    let found: Found = tokio::task::block_in_place(|| in_child(form, &arguments))?;
    println!(
        "\n{:36} {:>10} {:>10} {:>10} {:>10}",
        "the worker over a backlog", "events/s", "a tenth", "all", "peak"
    );
    println!(
        "{:36} {:>10.0} {:>10} {:>10} {:>10}",
        format!("{events} events"),
        found.rate,
        mib(found.early),
        mib(found.late),
        mib(found.peak),
    );
    Ok(())
}

/// The process: applies all events to Redis, and prints what it used.
pub(crate) async fn work(args: &Args) -> anyhow::Result<()> {
    let client = KafkaClient::connect(KafkaConfig::new([&args.kafka])?).await?;
    let cache = RedisAvailability::new(connect(&args.redis).await?);
    let (done, mut finished) = watch::channel(false);
    let counting = Arc::new(Counting {
        worker: AvailabilityWorker::new(Arc::new(cache)),
        handled: AtomicU64::new(0),
        early: AtomicU64::new(0),
        all: args.events,
        done,
    });
    let feed = Arc::new(KafkaFeed::new(client));
    let (group, topics) = (Group::new("memory")?, vec![Topic::new(TOPIC)?]);
    let begun = Instant::now();
    let stop = async move {
        finished.wait_for(|done| *done).await.ok();
    };
    Consumer::new(feed, group, topics, counting.clone())
        .run(stop)
        .await?;
    let rate = args.events as f64 / begun.elapsed().as_secs_f64();
    let memory = memory_of(std::process::id())?;
    let found = Found {
        early: counting.early.load(Ordering::Relaxed),
        late: memory.now,
        peak: memory.peak,
        rate,
    };
    println!("{}", serde_json::to_string(&found).context("numbers")?);
    Ok(())
}

/// The worker, and how many records it has finished.
struct Counting {
    worker: AvailabilityWorker,
    handled: AtomicU64,
    /// Resident bytes after a tenth.
    early: AtomicU64,
    all: u64,
    done: watch::Sender<bool>,
}

#[async_trait]
impl Handler for Counting {
    async fn handle(&self, batch: Batch<'_>) -> Vec<Disposition> {
        let dispositions = self.worker.handle(batch).await;
        let done = |disposition: &&Disposition| **disposition == Disposition::Done;
        let count = dispositions.iter().filter(done).count() as u64;
        let before = self.handled.fetch_add(count, Ordering::Relaxed);
        let tenth = self.all / 10;
        if (before..before + count).contains(&tenth)
            && let Ok(memory) = memory_of(std::process::id())
        {
            self.early.store(memory.now, Ordering::Relaxed);
        }
        if before + count >= self.all {
            self.done.send_replace(true);
        }
        dispositions
    }
}
