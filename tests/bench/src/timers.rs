//! Reservations in Postgres that end by timers in Redis: how long after their deadlines, and
//! without Redis.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::ensure;
use futures::future::join_all;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use stack::Server as _;
use stockade_inventory_core::workers::ExpiryWorker;
use stockade_inventory_core::{
    Adjustment, InventoryStore as _, Line, Lines, OperationId, OwnerId, Quantity, Reason,
    ReservationId, ReservationTimer as _, ReserveRequest, Sku, StockChange, Ttl,
};
use stockade_postgres::PostgresInventory;
use stockade_redis::{RedisTimers, TimerOptions, connect};
use tokio::sync::watch;
use tokio::task::block_in_place;

use crate::Form;
use crate::measure::Latencies;

/// SKUs that are reserved from.
const SKUS: usize = 1_000;
/// Units of each.
const UNITS: u64 = 1_000_000;
/// Reservations that are made in one call.
const BATCH: usize = 500;
/// Workers in a process, as inventory's service has them.
const WORKERS: usize = 2;
/// Connections of the workers.
const CONNECTIONS: u32 = 8;

/// What is reserved, and what happens then.
struct Plan {
    name: &'static str,
    reservations: usize,
    /// Over which time their deadlines are spread.
    spread: Duration,
    /// How long after the first request the first deadline is.
    lead: Duration,
    redis: Redis,
    /// The pause between sweeps; none is the default.
    sweep: Option<Duration>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Redis {
    Runs,
    /// Ends when half of the deadlines have passed.
    Ends,
}

pub(crate) async fn run(form: Form) -> anyhow::Result<()> {
    let (healthy, alone) = match form {
        Form::Short => ((2_000, 5, 8), (1_000, 4, 8)),
        Form::Full => ((100_000, 200, 60), (30_000, 60, 30)),
    };
    let sweep = match form {
        Form::Short => Duration::from_secs(2),
        Form::Full => Duration::from_secs(10),
    };
    let plan = |name, (reservations, spread, lead), redis, sweep| Plan {
        name,
        reservations,
        spread: Duration::from_secs(spread),
        lead: Duration::from_secs(lead),
        redis,
        sweep,
    };
    println!(
        "{:40} {:>8} {:>9} {:>9} {:>9} {:>10} {:>9}",
        "ended after the deadline", "count", "p50", "p99", "latest", "seq scans", "idx scans"
    );
    measure(&plan("with Redis", healthy, Redis::Runs, None)).await?;
    measure(&plan("until Redis ends", alone, Redis::Ends, Some(sweep))).await
}

async fn measure(plan: &Plan) -> anyhow::Result<()> {
    // Servers of their own: one of them is stopped, and the scans of a table are of a whole server.
    let postgres = block_in_place(stack::Postgres::start)?;
    let mut redis = block_in_place(stack::Redis::start)?;
    let timers = RedisTimers::start(connect(&redis.url()).await?, TimerOptions::default()).await?;
    let timers = Arc::new(timers);
    let url = postgres.url();

    let pool = pool(&url).await?;
    load(&PostgresInventory::new(pool.clone()), &timers, plan).await?;
    pool.close().await;
    let before = scans(&url).await?;

    let pool = self::pool(&url).await?;
    let store = Arc::new(PostgresInventory::new(pool.clone()));
    let (stop, stopped) = watch::channel(false);
    let workers = (0..WORKERS).map(|_| {
        let mut worker = ExpiryWorker::new(store.clone(), timers.clone());
        if let Some(interval) = plan.sweep {
            worker = worker.with_sweep_interval(interval);
        }
        let mut stopped = stopped.clone();
        tokio::spawn(worker.run(async move {
            stopped.wait_for(|stop| *stop).await.ok();
        }))
    });
    let workers: Vec<_> = workers.collect();
    if plan.redis == Redis::Ends {
        let until = first_deadline(&url).await? + plan.spread / 2;
        tokio::time::sleep_until(until.into()).await;
        block_in_place(|| redis.kill());
    }
    all_back(&url, plan).await?;
    stop.send_replace(true);
    for ended in join_all(workers).await {
        ended?;
    }
    pool.close().await;
    let after = scans(&url).await?;
    report(&url, plan, (after.0 - before.0, after.1 - before.1)).await
}

async fn pool(url: &str) -> anyhow::Result<PgPool> {
    let options = PgPoolOptions::new().max_connections(CONNECTIONS);
    Ok(options.connect(url).await?)
}

/// Reserves, and sets the timers.
async fn load(store: &PostgresInventory, timers: &RedisTimers, plan: &Plan) -> anyhow::Result<()> {
    store.migrate().await?;
    let skus: Vec<Sku> = (0..SKUS)
        .map(|n| Sku::new(format!("sku-{n}")))
        .collect::<Result<_, _>>()?;
    let set = skus.iter().map(|sku| {
        let operation = OperationId::new(format!("count {sku}"))?;
        let (change, reason) = (StockChange::Set(UNITS), Reason::new("counted")?);
        Ok(Adjustment::new(operation, sku.clone(), change, reason))
    });
    let set: Vec<Adjustment> = set.collect::<anyhow::Result<_>>()?;
    for outcome in store.adjust(&set).await? {
        outcome?;
    }
    let (begun, owner) = (Instant::now(), OwnerId::new("ada")?);
    let numbers: Vec<usize> = (0..plan.reservations).collect();
    for numbers in numbers.chunks(BATCH) {
        let elapsed = begun.elapsed();
        let requests = numbers.iter().map(|&number| {
            let after = plan.spread * u32::try_from(number)? / u32::try_from(plan.reservations)?;
            let left = (plan.lead + after).checked_sub(elapsed);
            let left = left.unwrap_or_default();
            let lines = Lines::new([Line::new(skus[number % SKUS].clone(), Quantity::ONE)])?;
            let request = ReserveRequest::new(ReservationId::random(), owner.clone(), lines);
            Ok(request.with_ttl(Ttl::new(left)?))
        });
        let requests: Vec<ReserveRequest> = requests.collect::<anyhow::Result<_>>()?;
        let mut armed = Vec::new();
        for outcome in store.reserve(&requests).await? {
            let reserved = outcome?;
            armed.push((reserved.reservation.id, reserved.remaining));
        }
        timers.arm(&armed).await?;
    }
    let took = begun.elapsed();
    ensure!(
        took < plan.lead,
        "{} reservations took {took:.1?} to make, longer than the first deadline",
        plan.reservations
    );
    Ok(())
}

/// When the first reservation is due.
async fn first_deadline(url: &str) -> anyhow::Result<Instant> {
    let pool = pool(url).await?;
    // As the sweep looks, so that no table is read whole.
    let left: f64 = sqlx::query_scalar(
        "SELECT extract(epoch FROM deadline - clock_timestamp())::float8
        FROM inventory.reservations WHERE state = 'held' ORDER BY deadline, id LIMIT 1",
    )
    .fetch_one(&pool)
    .await?;
    pool.close().await;
    Ok(Instant::now() + Duration::from_secs_f64(left.max(0.0)))
}

/// Waits until all units are back, and longer than any worker may take.
async fn all_back(url: &str, plan: &Plan) -> anyhow::Result<()> {
    let pool = pool(url).await?;
    let limit = plan.lead + plan.spread + Duration::from_secs(120);
    let begun = Instant::now();
    loop {
        let reserved = "SELECT sum(reserved)::int8 FROM inventory.levels";
        let reserved: i64 = sqlx::query_scalar(reserved).fetch_one(&pool).await?;
        if reserved == 0 {
            pool.close().await;
            return Ok(());
        }
        ensure!(begun.elapsed() < limit, "{reserved} units are not back");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// How often the table of reservations was read whole, and by an index.
async fn scans(url: &str) -> anyhow::Result<(i64, i64)> {
    let pool = PgPoolOptions::new().max_connections(1).connect(url).await?;
    // Connections tell what they did when they end.
    let others = "SELECT count(*) FROM pg_stat_activity
        WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
    while sqlx::query_scalar::<_, i64>(others)
        .fetch_one(&pool)
        .await?
        > 0
    {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let scans = sqlx::query_as(
        "SELECT seq_scan, idx_scan FROM pg_stat_user_tables
        WHERE schemaname = 'inventory' AND relname = 'reservations'",
    );
    let scans = scans.fetch_one(&pool).await?;
    pool.close().await;
    Ok(scans)
}

/// Compares the ledger with what was reserved, and prints how late each ended.
async fn report(url: &str, plan: &Plan, (whole, by_index): (i64, i64)) -> anyhow::Result<()> {
    let pool = pool(url).await?;
    let count = i64::try_from(plan.reservations)?;
    let (movements, of): (i64, i64) = sqlx::query_as(
        "SELECT count(*), count(DISTINCT cause_id) FROM inventory.movements
        WHERE cause = 'expired' AND reserved = -1 AND physical = 0",
    )
    .fetch_one(&pool)
    .await?;
    ensure!(
        (movements, of) == (count, count),
        "{movements} movements of {of} reservations gave units back, of {count}"
    );
    let levels: (i64, i64) = sqlx::query_as(
        "SELECT count(*) FILTER (WHERE physical = $1 AND reserved = 0), count(*)
        FROM inventory.levels",
    )
    .bind(i64::try_from(UNITS)?)
    .fetch_one(&pool)
    .await?;
    let all = i64::try_from(SKUS)?;
    ensure!(levels == (all, all), "levels as before: {levels:?}");
    // In the order of their deadlines.
    let late: Vec<f64> = sqlx::query_scalar(
        "SELECT extract(epoch FROM changed_at - deadline)::float8
        FROM inventory.reservations WHERE state = 'expired' ORDER BY deadline, id",
    )
    .fetch_all(&pool)
    .await?;
    pool.close().await;
    ensure!(late.len() == plan.reservations, "{} expired", late.len());
    ensure!(late.iter().all(|late| *late >= 0.0), "one ended early");
    ensure!(whole == 0, "reservations were read whole {whole} times");
    let late: Vec<Duration> = late.into_iter().map(Duration::from_secs_f64).collect();
    let line = |name: &str, late: &[Duration]| {
        let late = Latencies::new(late.to_vec());
        println!(
            "{name:40} {:>8} {:>9.2?} {:>9.2?} {:>9.2?} {whole:>10} {by_index:>9}",
            late.len(),
            late.percentile(50),
            late.percentile(99),
            late.percentile(100),
        );
    };
    match plan.redis {
        Redis::Runs => line(plan.name, &late),
        Redis::Ends => {
            let (with, without) = late.split_at(late.len() / 2);
            line(plan.name, with);
            let sweep = plan.sweep.unwrap_or_default();
            line(&format!("after it, by sweeps every {sweep:?}"), without);
        }
    }
    Ok(())
}
