//! Publishing to Kafka and reading from it, beside Java's own tools and rskafka in the same run.

mod bare;
mod java;
mod ours;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures::future::try_join_all;
use stack::Server as _;
use stockade_change_feed::Topic;
use stockade_kafka::{KafkaClient, KafkaConfig, TopicSettings};
use tokio::task::block_in_place;

use self::bare::Bare;
use self::java::Java;
use self::ours::Ours;
use crate::Form;
use crate::measure::{Latencies, median};

/// Bytes of a record: as a stock event has, and a larger one.
const SIZES: [usize; 2] = [150, 1_024];
/// Records of one call.
const BATCH: usize = 500;
/// Callers at once.
const CALLERS: usize = 8;
/// The pause between records whose latency is measured.
const PACE: Duration = Duration::from_millis(1);

/// What each client does in its turn.
struct Work {
    /// Records as fast as it can, and as many before them that are not measured.
    records: usize,
    size: usize,
    /// Records at 1,000 a second.
    paced: usize,
    /// Records that are published and read one after the other.
    single: usize,
}

/// A way to publish to a topic with one partition, and to read it.
#[async_trait(?Send)]
trait Client {
    /// Publishes twice the records, and returns how many of the second half it published a second.
    async fn publish(&self, topic: &Topic, work: &Work) -> anyhow::Result<f64>;

    /// Reads what was published, and returns how many records a second.
    async fn read(&self, topic: &Topic, work: &Work) -> anyhow::Result<f64>;

    /// Publishes records at a pace, and returns how long each took.
    async fn publish_paced(&self, topic: &Topic, work: &Work) -> anyhow::Result<Percentiles>;

    /// Publishes a record and reads it, again and again, and returns how long both took.
    async fn publish_and_read(&self, topic: &Topic, work: &Work) -> anyhow::Result<Percentiles>;
}

/// In milliseconds.
#[derive(Clone, Copy)]
struct Percentiles {
    p50: f64,
    p99: f64,
}

impl From<Vec<Duration>> for Percentiles {
    fn from(took: Vec<Duration>) -> Self {
        let took = Latencies::new(took);
        let at = |percent| took.percentile(percent).as_secs_f64() * 1_000.0;
        Self {
            p50: at(50),
            p99: at(99),
        }
    }
}

pub(crate) async fn run(form: Form) -> anyhow::Result<()> {
    let (rounds, records, paced, single) = match form {
        Form::Short => (1, 2_000, 200, 50),
        Form::Full => (3, 300_000, 10_000, 2_000),
    };
    // Of its own: whatever else it does would be measured too.
    let start = || stack::KafkaOptions::new().compiled_well().start();
    let server = block_in_place(start)?;
    let bootstrap = server.url();
    let client = KafkaClient::connect(KafkaConfig::new([&bootstrap])?).await?;
    let clients: [Box<dyn Client>; 3] = [
        Box::new(Java::new(&bootstrap)),
        Box::new(Bare::connect(&bootstrap).await?),
        Box::new(Ours::new(client.clone())),
    ];
    for size in SIZES {
        let work = Work {
            records,
            size,
            paced,
            single,
        };
        compare(&client, &clients, &work, rounds).await?;
    }
    Ok(())
}

/// All clients in turn, each in topics of its own.
async fn compare(
    client: &KafkaClient,
    clients: &[Box<dyn Client>; 3],
    work: &Work,
    rounds: usize,
) -> anyhow::Result<()> {
    let mut measured: [Vec<[f64; 6]>; 3] = Default::default();
    for round in 0..rounds {
        for (number, (side, measured)) in clients.iter().zip(&mut measured).enumerate() {
            let topic = async |what| {
                let topic = Topic::new(format!("{what}-{}-{round}-{number}", work.size))?;
                client.ensure_topic(&topic, &TopicSettings::new(1)).await?;
                anyhow::Ok(topic)
            };
            let bulk = topic("bulk").await?;
            let published = side.publish(&bulk, work).await?;
            let read = side.read(&bulk, work).await?;
            let paced = side.publish_paced(&topic("paced").await?, work).await?;
            let single = side.publish_and_read(&topic("single").await?, work).await?;
            measured.push([
                published, read, paced.p50, paced.p99, single.p50, single.p99,
            ]);
        }
    }
    println!(
        "{:36} {:>10} {:>10} {:>10} {:>8} {:>10}",
        format!("records of {} bytes", work.size),
        "Java",
        "rskafka",
        "ours",
        "to Java",
        "to rskafka"
    );
    let names = [
        "published a second",
        "read a second",
        "publish, p50 in ms",
        "publish, p99 in ms",
        "publish and read, p50 in ms",
        "publish and read, p99 in ms",
    ];
    for (at, name) in names.into_iter().enumerate() {
        let [java, bare, ours] = measured
            .each_ref()
            .map(|rounds| median(rounds.iter().map(|round| round[at])));
        let digits = if at < 2 { 0 } else { 2 };
        println!(
            "{name:36} {java:>10.digits$} {bare:>10.digits$} {ours:>10.digits$} {:>8.2} {:>10.2}",
            ours / java,
            ours / bare,
        );
    }
    println!();
    Ok(())
}

/// Publishes the records in calls, by several callers at once, and returns how many a second.
async fn in_calls(
    records: usize,
    call: impl AsyncFn(usize) -> anyhow::Result<()>,
) -> anyhow::Result<f64> {
    let next = AtomicUsize::new(0);
    let begun = Instant::now();
    let caller = async || {
        loop {
            let first = next.fetch_add(BATCH, Ordering::Relaxed);
            if first >= records {
                return anyhow::Ok(());
            }
            call(BATCH.min(records - first)).await?;
        }
    };
    try_join_all((0..CALLERS).map(|_| caller())).await?;
    Ok(records as f64 / begun.elapsed().as_secs_f64())
}
