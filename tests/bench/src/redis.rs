//! Availability in Redis, beside bare reads by the same client in the same run.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use fred::clients::Client;
use fred::interfaces::{ClientLike as _, KeysInterface as _};
use futures::future::try_join_all;
use stack::Server;
use stockade_catalog_core::{
    Advance, Availability, AvailabilityCache as _, Completeness, Coverage, Origin,
};
use stockade_change_feed::{Clock as _, Offset, ReadFrom, SystemClock};
use stockade_inventory_core::memory::MemoryInventory;
use stockade_inventory_core::{Sku, StockChanged, Version};
use stockade_redis::{RedisAvailability, connect};
use tokio::task::block_in_place;

use crate::Form;
use crate::measure::{Latencies, median};

/// SKUs of a page.
const PAGE: usize = 25;
/// SKUs that pages are made of.
const SKUS: usize = 10_000;
/// SKUs that are written in one call.
const BATCH: usize = 500;

/// How often everything is done, ours and the baseline in turn.
struct Plan {
    runs: usize,
    reads: usize,
    round: Duration,
}

pub(crate) async fn run(form: Form) -> anyhow::Result<()> {
    let plan = match form {
        Form::Short => Plan {
            runs: 1,
            reads: 200,
            round: Duration::from_millis(100),
        },
        Form::Full => Plan {
            runs: 7,
            reads: 2_000,
            round: Duration::from_secs(1),
        },
    };
    println!(
        "{:36} {:>9} {:>9} {:>6} {:>9} {:>9} {:>6}",
        "reading 25 SKUs", "bare p50", "ours p50", "ratio", "bare p99", "ours p99", "ratio"
    );
    // Of its own: whatever else it does would be measured too.
    let server = block_in_place(stack::Redis::start)?;
    let single = Both::open(&server.url()).await?;
    single.compare("one server, a bare MGET", &plan).await?;
    let cluster = block_in_place(stack::RedisCluster::start)?;
    let spread = Both::open(&cluster.url()).await?;
    spread
        .compare("three primaries, 25 bare GETs", &plan)
        .await?;
    spread.close().await?;
    drop(cluster);

    println!(
        "\n{:36} {:>9} {:>9} {:>6} {:>9} {:>9}",
        "pages of 25 SKUs", "bare/s", "ours/s", "ratio", "ours p50", "ours p99"
    );
    for callers in [1, 8, 32] {
        single.pages(callers, &plan).await?;
    }
    single.close().await
}

/// The same stock in entries of ours and in bare keys.
struct Both {
    client: Client,
    ours: Arc<RedisAvailability>,
    skus: Vec<Sku>,
}

impl Both {
    async fn open(url: &str) -> anyhow::Result<Self> {
        let client = connect(url).await?;
        let both = Self {
            ours: Arc::new(RedisAvailability::new(client.clone())),
            client,
            skus: (0..SKUS)
                .map(|n| Sku::new(format!("sku-{n}")))
                .collect::<Result<_, _>>()?,
        };
        both.fill().await?;
        Ok(both)
    }

    async fn close(self) -> anyhow::Result<()> {
        Ok(self.client.quit().await?)
    }

    async fn fill(&self) -> anyhow::Result<()> {
        let now = SystemClock::new().now();
        self.beat(ReadFrom::Start).await?;
        let mut token = self.ours.begin_fill().await?;
        for skus in self.skus.chunks(BATCH) {
            let entries: Vec<StockChanged> = skus
                .iter()
                .map(|sku| StockChanged::new(sku.clone(), 1_234, Version::new(0, 7), now))
                .collect();
            let next = self.ours.fill(&token, &entries).await?.next;
            token = next.context("the fill goes on")?;
            let bare = skus.iter().map(|sku| {
                self.client
                    .set::<(), _, _>(bare(sku), 1_234, None, None, false)
            });
            try_join_all(bare).await?;
        }
        let coverage = self.ours.end_fill(&token).await?;
        ensure!(coverage == Coverage::Filled, "the cache is {coverage:?}");
        Ok(())
    }

    /// A heartbeat, so that pages trust the cache.
    async fn beat(&self, after: ReadFrom) -> anyhow::Result<()> {
        let mut advance = Advance::empty(0, after, Offset(0));
        advance.complete = Some(Completeness {
            partitions: 1,
            epoch: 0,
            complete_as_of: SystemClock::new().now(),
        });
        self.ours.apply(&[], &[advance]).await?;
        Ok(())
    }

    /// The SKUs of a page.
    fn page(&self, number: usize) -> Vec<Sku> {
        let first = number * 7_919;
        let places = (0..PAGE).map(|n| (first + n * 397) % SKUS);
        places.map(|place| self.skus[place].clone()).collect()
    }

    /// What anybody would do: on a cluster, whose slots a single command does not cross, the
    /// driver sends all commands together.
    async fn bare(&self, skus: &[Sku]) -> anyhow::Result<()> {
        let keys = skus.iter().map(bare);
        let found: Vec<Option<u64>> = match self.client.is_clustered() {
            false => self.client.mget(keys.collect::<Vec<_>>()).await?,
            true => try_join_all(keys.map(|key| self.client.get(key))).await?,
        };
        ensure!(found.iter().all(Option::is_some), "a key is missing");
        Ok(())
    }

    /// One read of each in turn, on one task.
    async fn compare(&self, name: &str, plan: &Plan) -> anyhow::Result<()> {
        let (mut bares, mut ours) = (Vec::new(), Vec::new());
        for run in 0..plan.runs {
            let (mut bare_took, mut ours_took) = (Vec::new(), Vec::new());
            for number in 0..plan.reads {
                let skus = self.page(run * plan.reads + number);
                let started = Instant::now();
                self.bare(&skus).await?;
                bare_took.push(started.elapsed());
                let started = Instant::now();
                let read = self.ours.read(&skus).await?;
                ours_took.push(started.elapsed());
                let all = read.entries.iter().all(Option::is_some);
                ensure!(all, "an entry is missing");
            }
            bares.push(Latencies::new(bare_took));
            ours.push(Latencies::new(ours_took));
        }
        let of = |runs: &[Latencies], percent| {
            median(runs.iter().map(|run| run.percentile(percent).as_secs_f64()))
        };
        let ratio = |percent| {
            let runs = ours.iter().zip(&bares);
            median(runs.map(|(ours, bare)| ours.ratio(bare, percent)))
        };
        println!(
            "{name:36} {:>9.2?} {:>9.2?} {:>6.2} {:>9.2?} {:>9.2?} {:>6.2}",
            Duration::from_secs_f64(of(&bares, 50)),
            Duration::from_secs_f64(of(&ours, 50)),
            ratio(50),
            Duration::from_secs_f64(of(&bares, 99)),
            Duration::from_secs_f64(of(&ours, 99)),
            ratio(99),
        );
        Ok(())
    }

    /// Pages through the circuit, beside bare reads.
    async fn pages(&self, callers: usize, plan: &Plan) -> anyhow::Result<()> {
        let clock = Arc::new(SystemClock::new());
        let inventory = Arc::new(MemoryInventory::new(clock));
        let pages = Availability::new(self.ours.clone(), inventory)
            // A machine with much to do is no reason to ask inventory.
            .with_cache_timeout(Duration::from_secs(1));
        let (mut bares, mut ours) = (Vec::new(), Vec::new());
        for _ in 0..plan.runs {
            self.beat(ReadFrom::After(Offset(0))).await?;
            let read = async |number| self.bare(&self.page(number)).await;
            bares.extend(together(callers, plan.round, read).await?);
            let read = async |number| {
                let page = pages.of(&self.page(number)).await;
                let cached = page.items.iter().all(|item| item.origin == Origin::Cache);
                ensure!(cached, "a page came from elsewhere: {page:?}");
                Ok(())
            };
            ours.extend(together(callers, plan.round, read).await?);
        }
        let time = plan.round.as_secs_f64() * plan.runs as f64;
        let (bare_rate, our_rate) = (bares.len() as f64 / time, ours.len() as f64 / time);
        let ours = Latencies::new(ours);
        println!(
            "{:36} {bare_rate:>9.0} {our_rate:>9.0} {:>6.2} {:>9.2?} {:>9.2?}",
            format!("{callers} callers"),
            our_rate / bare_rate,
            ours.percentile(50),
            ours.percentile(99),
        );
        Ok(())
    }
}

/// Calls by this number of callers for this time, and how long each took.
async fn together(
    callers: usize,
    round: Duration,
    call: impl AsyncFn(usize) -> anyhow::Result<()>,
) -> anyhow::Result<Vec<Duration>> {
    let count = AtomicUsize::new(0);
    let until = Instant::now() + round;
    let caller = async || {
        let mut took = Vec::new();
        while Instant::now() < until {
            let started = Instant::now();
            call(count.fetch_add(1, Ordering::Relaxed)).await?;
            took.push(started.elapsed());
        }
        anyhow::Ok(took)
    };
    let took = try_join_all((0..callers).map(|_| caller())).await?;
    Ok(took.into_iter().flatten().collect())
}

fn bare(sku: &Sku) -> String {
    format!("stock:{sku}")
}
