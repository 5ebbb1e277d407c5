//! Stock in Postgres, beside bare statements over the same pool in the same run.

mod bare;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use bare::Bare;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use stockade_inventory_core::{
    Adjustment, InventoryStore, Line, Lines, OperationId, OwnerId, Quantity, Reason, ReservationId,
    ReserveRequest, Sku, StockChange,
};
use stockade_postgres::{PostgresInventory, Schema};

use crate::Form;
use crate::measure::Latencies;

/// SKUs that are reserved from.
const ROWS: usize = 1_000;
/// Requests of one transaction.
const BATCH: usize = 100;
/// SKUs whose stock is set in one call.
const SKUS: usize = 10_000;
const PLENTY: u64 = 1 << 40;

/// How often everything is done, one round of ours and one of the baseline in turn.
struct Plan {
    rounds: usize,
    round: Duration,
}

pub(crate) async fn run(form: Form) -> anyhow::Result<()> {
    let plan = match form {
        Form::Short => Plan {
            rounds: 1,
            round: Duration::from_millis(100),
        },
        Form::Full => Plan {
            rounds: 4,
            round: Duration::from_secs(3),
        },
    };
    // A server that was named is used as it is.
    let given = std::env::var("STOCKADE_POSTGRES_URL").ok();
    let started = match &given {
        Some(_) => None,
        None => Some(tokio::task::spawn_blocking(stack::Postgres::start).await??),
    };
    let url = given.or_else(|| started.as_ref().map(stack::Server::url));
    let outcome = measure(&url.context("no server")?, &plan).await;
    tokio::task::spawn_blocking(move || drop(started)).await?;
    outcome
}

async fn measure(url: &str, plan: &Plan) -> anyhow::Result<()> {
    println!(
        "{:28} {:>10} {:>10} {:>6}  {:>9} {:>9} {:>9}",
        "reservations", "bare/s", "ours/s", "ratio", "bare p99", "ours p50", "ours p99"
    );
    let mut alone = 0.0;
    for (name, rows) in [("one hot row", 1), ("1,000 rows", ROWS)] {
        for callers in [1, 8, 32] {
            let shop = Shop::open(url, callers).await?;
            let case = format!("{name}, {callers} callers");
            let rate = shop.compare(&case, rows, plan).await?;
            if (rows, callers) == (1, 1) {
                alone = rate;
            }
            shop.close().await?;
        }
    }
    let shop = Shop::open(url, 1).await?;
    shop.batches(alone, plan).await?;
    shop.set_stock(plan).await?;
    shop.close().await
}

/// Both sides, over one pool with a connection for each caller.
struct Shop {
    pool: PgPool,
    ours: PostgresInventory,
    bare: Bare,
    callers: usize,
}

impl Shop {
    async fn open(url: &str, callers: usize) -> anyhow::Result<Self> {
        let pool = PgPoolOptions::new()
            .max_connections(u32::try_from(callers)?)
            // Both sides take one round trip then.
            .test_before_acquire(false)
            .connect(url)
            .await?;
        let ours = PostgresInventory::new(pool.clone())
            // Nobody else's, where the server is in use.
            .with_schema(Schema::new("stockade_bench")?);
        ours.migrate().await?;
        let bare = Bare::create(pool.clone()).await?;
        let shop = Self {
            pool,
            ours,
            bare,
            callers,
        };
        shop.set(ROWS, PLENTY).await?;
        shop.bare.set(&names(ROWS), PLENTY).await?;
        Ok(shop)
    }

    async fn close(self) -> anyhow::Result<()> {
        self.bare.remove().await?;
        let drop = sqlx::raw_sql("DROP SCHEMA stockade_bench CASCADE");
        drop.execute(&self.pool).await?;
        self.pool.close().await;
        Ok(())
    }

    /// Reservations of one unit each, by so many callers at once; returns our rate.
    async fn compare(&self, name: &str, rows: usize, plan: &Plan) -> anyhow::Result<f64> {
        let (mut ours, mut bare) = (Vec::new(), Vec::new());
        for _ in 0..plan.rounds {
            bare.extend(
                self.together(plan.round, |n| {
                    let (bare, of) = (self.bare.clone(), name_of(n as usize % rows));
                    async move { bare.reserve(&of, &unused("bare")).await }
                })
                .await?,
            );
            ours.extend(
                self.together(plan.round, |n| {
                    let (ours, request) = (self.ours.clone(), one(n as usize % rows));
                    async move { granted(&ours, &[request?]).await }
                })
                .await?,
            );
        }
        let time = plan.round.as_secs_f64() * plan.rounds as f64;
        let (bare_rate, our_rate) = (bare.len() as f64 / time, ours.len() as f64 / time);
        let (bare, ours) = (Latencies::new(bare), Latencies::new(ours));
        println!(
            "{name:28} {bare_rate:>10.0} {our_rate:>10.0} {:>6.2}  {:>9.2?} {:>9.2?} {:>9.2?}",
            our_rate / bare_rate,
            bare.percentile(99),
            ours.percentile(50),
            ours.percentile(99),
        );
        Ok(our_rate)
    }

    /// Calls by all callers for that long, and how long each took.
    async fn together<F>(
        &self,
        round: Duration,
        call: impl Fn(u64) -> F,
    ) -> anyhow::Result<Vec<Duration>>
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let count = AtomicU64::new(0);
        let until = Instant::now() + round;
        let caller = async || {
            let mut took = Vec::new();
            while Instant::now() < until {
                let call = call(count.fetch_add(1, Ordering::Relaxed));
                let started = Instant::now();
                call.await?;
                took.push(started.elapsed());
            }
            anyhow::Ok(took)
        };
        let callers = (0..self.callers).map(|_| caller());
        let took = futures::future::try_join_all(callers).await?;
        Ok(took.into_iter().flatten().collect())
    }

    /// Many requests for the hot row in one transaction, beside the same one by one.
    async fn batches(&self, alone: f64, plan: &Plan) -> anyhow::Result<()> {
        let mut took = Vec::new();
        let until = Instant::now() + plan.round;
        while took.is_empty() || Instant::now() < until {
            let batch: Vec<_> = (0..BATCH).map(|_| one(0)).collect::<Result<_, _>>()?;
            let started = Instant::now();
            granted(&self.ours, &batch).await?;
            took.push(started.elapsed());
        }
        let time: Duration = took.iter().sum();
        let rate = (took.len() * BATCH) as f64 / time.as_secs_f64();
        let took = Latencies::new(took);
        println!(
            "\nbatch of {BATCH} for the hot row: {rate:.0} reservations/s, {:.1} times those one by \
             one; p50 {:.2?}, p99 {:.2?} a batch",
            rate / alone,
            took.percentile(50),
            took.percentile(99),
        );
        Ok(())
    }

    /// The stock of many SKUs in one call, beside one bare statement that does it.
    async fn set_stock(&self, plan: &Plan) -> anyhow::Result<()> {
        let (mut ours, mut bare) = (Vec::new(), Vec::new());
        for round in 0..plan.rounds as u64 {
            let started = Instant::now();
            self.bare.set(&names(SKUS), PLENTY + round).await?;
            bare.push(started.elapsed());
            let started = Instant::now();
            self.set(SKUS, PLENTY + round).await?;
            ours.push(started.elapsed());
        }
        let (bare, ours) = (Latencies::new(bare), Latencies::new(ours));
        println!(
            "set stock of {SKUS} SKUs: {:.2?}; one bare statement {:.2?}",
            ours.percentile(50),
            bare.percentile(50)
        );
        Ok(())
    }

    async fn set(&self, skus: usize, count: u64) -> anyhow::Result<()> {
        let adjustments = names(skus)
            .into_iter()
            .map(|name| {
                let operation = OperationId::new(unused("set"))?;
                let (change, reason) = (StockChange::Set(count), Reason::new("counted")?);
                Ok(Adjustment::new(operation, Sku::new(name)?, change, reason))
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        for outcome in self.ours.adjust(&adjustments).await? {
            outcome?;
        }
        Ok(())
    }
}

fn name_of(row: usize) -> String {
    format!("sku-{row}")
}

fn names(rows: usize) -> Vec<String> {
    (0..rows).map(name_of).collect()
}

/// An id that nobody had before, spread over the index as ids of customers are.
fn unused(of: &str) -> String {
    format!("{of}-{}", ReservationId::random())
}

fn one(row: usize) -> anyhow::Result<ReserveRequest> {
    let lines = Lines::new([Line::new(Sku::new(name_of(row))?, Quantity::ONE)])?;
    let id = ReservationId::new(unused("ours"))?;
    Ok(ReserveRequest::new(id, OwnerId::new("ada")?, lines))
}

async fn granted(store: &PostgresInventory, requests: &[ReserveRequest]) -> anyhow::Result<()> {
    let outcomes = store.reserve(requests).await?;
    ensure!(outcomes.len() == requests.len(), "an outcome for each");
    for outcome in outcomes {
        outcome?;
    }
    Ok(())
}
