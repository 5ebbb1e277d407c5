//! Many page views while the circuit is open.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::json;
use service_kit::testing::{Process, within};

use crate::site::{Build, Site, TOKEN};
use crate::times::Times;

/// Popular SKUs, of which a page shows 25.
const POPULAR: usize = 200;
const ON_A_PAGE: usize = 25;
/// The most calls of inventory at a time by a process of the catalogue.
const CALLS: f64 = 4.0;
/// How long the circuit takes to open.
const STALE_AFTER: &str = "--stale-after=3s";

/// What a while of page views and reservations was like.
struct While {
    views: u64,
    failed: u64,
    lasted: Duration,
    pages: Times,
    reserves: Times,
    /// Calls of inventory by the catalogue.
    calls: f64,
    /// How many of them were in progress at a time, on average.
    at_a_time: f64,
}

pub(crate) async fn run(short: bool) -> anyhow::Result<()> {
    let (rate, lasts) = if short { (100, 3) } else { (2_000, 30) };
    let lasts = Duration::from_secs(lasts);
    let site = tokio::task::block_in_place(Site::start)?;
    let inventory = site.inventory(&Build::This)?;
    let api = site.catalog(&Build::This, "api", &inventory, &[STALE_AFTER])?;
    let worker = site.catalog(&Build::This, "availability", &inventory, &[])?;
    for number in 0..POPULAR {
        let body = json!({
            "sku": sku(number), "set": 1_000_000, "reason": "opening",
            "operation_id": sku(number),
        });
        let (status, answer) = inventory.post("/stock", &body).await;
        ensure!(status == 200, "{answer}");
    }
    let patience = Duration::from_secs(60);
    within(patience, "pages use the cache", || is(&api, "closed")).await;
    // The first seconds warm up.
    measure(&inventory, &api, rate, lasts / 10).await?;
    let closed = measure(&inventory, &api, rate, lasts).await?;
    say("circuit closed", &closed);
    worker.kill();
    within(patience, "the circuit opens", || is(&api, "open")).await;
    let open = measure(&inventory, &api, rate, lasts).await?;
    say("circuit open", &open);
    ensure!(is(&api, "open").await, "the circuit closed meanwhile");

    let slower =
        open.reserves.quantile(0.5).as_secs_f64() / closed.reserves.quantile(0.5).as_secs_f64();
    let slowest =
        open.reserves.quantile(0.99).as_secs_f64() / closed.reserves.quantile(0.99).as_secs_f64();
    println!("reservations took {slower:.2} times as long at p50, {slowest:.2} times at p99");
    ensure!(open.failed + closed.failed == 0, "pages failed");
    ensure!(
        open.calls > 0.0,
        "nobody asked inventory while the circuit was open"
    );
    ensure!(
        open.at_a_time <= CALLS,
        "{} calls of inventory at a time; {CALLS} are allowed",
        open.at_a_time
    );
    for process in [api, inventory] {
        process.stop();
    }
    Ok(())
}

fn sku(number: usize) -> String {
    format!("sku-{number}")
}

async fn is(api: &Process, state: &str) -> bool {
    // A page view, which lets the circuit look.
    let page = api.read(&format!("/availability?sku={}", sku(0))).await;
    page["circuit"] == state
}

fn say(when: &str, it: &While) {
    println!(
        "{when}: {} pages ({:.0} a second, {}), {} failed; {:.0} calls of inventory ({:.0} a second, \
         {:.2} at a time); {} reservations ({})",
        it.views,
        it.views as f64 / it.lasted.as_secs_f64(),
        it.pages,
        it.failed,
        it.calls,
        it.calls / it.lasted.as_secs_f64(),
        it.at_a_time,
        it.reserves.count(),
        it.reserves,
    );
}

/// Views pages at this rate, and reserves 20 times a second beside it.
async fn measure(
    inventory: &Process,
    api: &Process,
    rate: u32,
    lasts: Duration,
) -> anyhow::Result<While> {
    let (pages, reserves) = (Arc::new(Times::new()), Times::new());
    let failed = Arc::new(AtomicU64::new(0));
    let http = reqwest::Client::builder()
        .timeout(Duration::from_secs(10))
        .build()?;
    let before = calls(api).await?;
    let begun = Instant::now();
    let reserving = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(50));
        let mut rng = fastrand::Rng::with_seed(7);
        while begun.elapsed() < lasts {
            ticks.tick().await;
            let line = json!({"sku": sku(rng.usize(..POPULAR)), "quantity": 1});
            let order = json!({"lines": [line], "owner": "ada"});
            let asked = Instant::now();
            let (status, answer) = inventory.post("/reserve", &order).await;
            reserves.add(asked.elapsed());
            ensure!(status == 201, "{answer}");
        }
        anyhow::Ok(())
    };
    let viewing = async {
        // In groups, because a timer has milliseconds.
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        let mut rng = fastrand::Rng::with_seed(11);
        let mut views = tokio::task::JoinSet::new();
        let mut viewed = 0_u64;
        while begun.elapsed() < lasts {
            ticks.tick().await;
            let due = u64::from(rate) * begun.elapsed().as_millis() as u64 / 1_000;
            for _ in viewed..due {
                let query: Vec<_> = (0..ON_A_PAGE)
                    .map(|_| format!("sku={}", sku(rng.usize(..POPULAR))))
                    .collect();
                let url = format!("{}/availability?{}", api.url(), query.join("&"));
                let request = http.get(url).bearer_auth(TOKEN);
                let (pages, failed) = (pages.clone(), failed.clone());
                views.spawn(async move {
                    let asked = Instant::now();
                    let page = async { request.send().await?.error_for_status()?.bytes().await };
                    match page.await {
                        Ok(_) => pages.add(asked.elapsed()),
                        Err(_) => drop(failed.fetch_add(1, Ordering::Relaxed)),
                    }
                });
            }
            viewed = viewed.max(due);
            while views.try_join_next().is_some() {}
        }
        while views.join_next().await.is_some() {}
        viewed
    };
    let (reserved, views) = tokio::join!(reserving, viewing);
    reserved?;
    let lasted = begun.elapsed();
    let after = calls(api).await?;
    Ok(While {
        views,
        failed: failed.load(Ordering::Relaxed),
        lasted,
        pages: Arc::into_inner(pages).context("all views ended")?,
        reserves,
        calls: after.0 - before.0,
        at_a_time: (after.1 - before.1) / lasted.as_secs_f64(),
    })
}

/// How many calls of inventory a process has made, and for how many seconds they lasted.
async fn calls(api: &Process) -> anyhow::Result<(f64, f64)> {
    let (_, metrics) = api.get("/metrics").await;
    let sum = |name: &str| -> f64 {
        let lines = metrics.lines().filter(|line| line.starts_with(name));
        let values = lines.filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
        values.sum()
    };
    Ok((
        sum("stockade_http_call_seconds_count"),
        sum("stockade_http_call_seconds_sum"),
    ))
}
