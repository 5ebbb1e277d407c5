//! Many buyers at once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use fastrand::Rng;
use futures::future::join_all;
use serde_json::{Value, json};
use service_kit::testing::Process;

use crate::ledger::{Ledger, Wanted};
use crate::site::{Site, TOKEN};
use crate::times::Times;

const SKUS: usize = 100;
/// Of these there are few units, so that many carts are refused.
const SCARCE: usize = 20;
/// A reservation that is forgotten expires after 1 to this many seconds.
const FORGOTTEN_FOR: u64 = 5;

/// What happened.
#[derive(Default)]
struct Story {
    wanted: Mutex<Vec<(String, Wanted)>>,
    refused: AtomicU64,
    repeated: AtomicU64,
    /// A step after the deadline of its reservation, or one that was taken twice.
    late: AtomicU64,
    unclear: AtomicU64,
}

/// The service, and who buys there.
struct Shop {
    http: reqwest::Client,
    url: String,
    story: Story,
    reserves: Times,
}

pub(crate) async fn run(short: bool) -> anyhow::Result<()> {
    let (buyers, lasts) = if short { (50, 5) } else { (500, 60) };
    let site = tokio::task::block_in_place(Site::start)?;
    let inventory = site.inventory()?;
    let catalog = site.catalog("all", &[])?;
    let skus: Vec<String> = (0..SKUS).map(|number| format!("sku-{number}")).collect();
    stock(&inventory, &skus).await?;

    let shop = Arc::new(Shop {
        http: reqwest::Client::builder()
            .timeout(Duration::from_secs(30))
            .build()?,
        url: inventory.url().to_owned(),
        story: Story::default(),
        reserves: Times::new(),
    });
    let begun = Instant::now();
    let until = begun + Duration::from_secs(lasts);
    let shopping = (0..buyers).map(|buyer| {
        let shop = shop.clone();
        tokio::spawn(async move { shop.shops(buyer, until).await })
    });
    for buyer in join_all(shopping).await {
        buyer??;
    }
    let took = begun.elapsed();

    // The last forgotten reservations end.
    let ledger = Ledger::connect(&site.database()).await?;
    ledger
        .is_quiet(Duration::from_secs(FORGOTTEN_FOR + 90))
        .await?;
    let quiet = Instant::now();
    let same_after = pages_say(&catalog, &skus, &ledger, quiet).await?;

    let story = &shop.story;
    let wanted = std::mem::take(&mut *story.wanted.lock().expect("nobody panics with it"));
    let findings = ledger.check(&wanted).await?;
    let late = ledger.lateness().await?;
    let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
    let asked = shop.reserves.count();
    println!(
        "{buyers} buyers for {took:.0?}: {asked} carts ({:.0} a second, {}), {} granted, {} refused, \
         {} repeated, {} steps too late, {} unclear",
        asked as f64 / took.as_secs_f64(),
        shop.reserves,
        wanted.len(),
        count(&story.refused),
        count(&story.repeated),
        count(&story.late),
        count(&story.unclear),
    );
    println!(
        "{} reservations expired: half within {:?} of their deadline, 99% within {:?}, all within {:?}",
        late.count, late.p50, late.p99, late.most
    );
    println!("pages showed what Postgres has {same_after:.1?} after the last change");
    ensure!(
        findings.is_empty(),
        "promises were broken:\n{}",
        findings.join("\n")
    );
    ensure!(
        same_after <= Duration::from_secs(1),
        "pages took {same_after:?}; 1 s is allowed"
    );
    for process in [catalog, inventory] {
        process.stop();
    }
    Ok(())
}

async fn stock(inventory: &Process, skus: &[String]) -> anyhow::Result<()> {
    for (number, sku) in skus.iter().enumerate() {
        let units = if number < SCARCE { 20 } else { 1_000_000 };
        let body = json!({"sku": sku, "set": units, "reason": "opening", "operation_id": sku});
        let (status, answer) = inventory.post("/stock", &body).await;
        ensure!(status == 200, "{answer}");
    }
    Ok(())
}

/// Waits until a page shows for all SKUs what Postgres has, from the cache. Returns how long after
/// the quiet began.
async fn pages_say(
    catalog: &Process,
    skus: &[String],
    ledger: &Ledger,
    quiet: Instant,
) -> anyhow::Result<Duration> {
    let query: Vec<_> = skus.iter().map(|sku| format!("sku={sku}")).collect();
    let path = format!("/availability?{}", query.join("&"));
    let truth = ledger.available().await?;
    loop {
        let after = quiet.elapsed();
        let page = catalog.read(&path).await;
        let shown = shown(&page)?;
        if shown == truth {
            return Ok(after);
        }
        if after > Duration::from_secs(60) {
            let wrong = truth
                .iter()
                .filter(|(sku, units)| shown.get(*sku) != Some(units));
            bail!("pages never showed {:?}", wrong.collect::<Vec<_>>());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The units that a page has from the cache.
fn shown(page: &Value) -> anyhow::Result<BTreeMap<String, i64>> {
    let items = page["items"].as_array().context("the page has items")?;
    let cached = items.iter().filter(|item| item["source"] == "cache");
    let shown = cached.filter_map(|item| {
        let sku = item["sku"].as_str()?.to_owned();
        Some((sku, item["available"].as_i64()?))
    });
    Ok(shown.collect())
}

impl Shop {
    async fn shops(&self, buyer: u64, until: Instant) -> anyhow::Result<()> {
        let mut rng = Rng::with_seed(buyer);
        let owner = format!("buyer-{buyer}");
        let mut cart = 0;
        while Instant::now() < until {
            cart += 1;
            self.buys(&mut rng, &owner, cart).await?;
        }
        Ok(())
    }

    /// Fills a cart, and does something with it, or forgets it.
    async fn buys(&self, rng: &mut Rng, owner: &str, cart: u32) -> anyhow::Result<()> {
        let forgets = rng.u8(..10) < 3;
        let ttl = if forgets {
            rng.u64(1..=FORGOTTEN_FOR)
        } else {
            900
        };
        let mut skus: Vec<usize> = (0..rng.usize(1..=4)).map(|_| rng.usize(..SKUS)).collect();
        skus.sort_unstable();
        skus.dedup();
        let lines: Vec<_> = skus
            .iter()
            .map(|sku| json!({"sku": format!("sku-{sku}"), "quantity": rng.u8(1..=3)}))
            .collect();
        let order = json!({"lines": lines, "owner": owner, "ttl_seconds": ttl});
        let key = format!("{owner}-{cart}");
        let begun = Instant::now();
        let (status, answer) = self.reserve(&key, &order).await?;
        self.reserves.add(begun.elapsed());
        let id = match status {
            201 => answer["id"].as_str().context("an id")?.to_owned(),
            409 => {
                self.story.refused.fetch_add(1, Ordering::Relaxed);
                return Ok(());
            }
            _ => bail!("{order}: {status} {answer}"),
        };
        if rng.u8(..20) == 0 {
            let (status, again) = self.reserve(&key, &order).await?;
            ensure!(
                status == 200 && again["id"] == *id,
                "{key}: {status} {again}"
            );
            self.story.repeated.fetch_add(1, Ordering::Relaxed);
        }
        let wanted = if forgets {
            Wanted::Expired
        } else {
            self.goes_on(rng, &id).await?
        };
        let mut all = self.story.wanted.lock().expect("nobody panics with it");
        all.push((id, wanted));
        Ok(())
    }

    /// Takes some of the steps of a reservation that is not forgotten.
    async fn goes_on(&self, rng: &mut Rng, id: &str) -> anyhow::Result<Wanted> {
        let (steps, ends): (&[&str], Wanted) = match rng.u8(..4) {
            0 => (&["release"], Wanted::Released),
            1 => (&["confirm"], Wanted::Confirmed),
            2 => (&["confirm", "cancel"], Wanted::Cancelled),
            _ => (&["confirm", "fulfil"], Wanted::Fulfilled),
        };
        for step in steps {
            let url = format!("{}/reservations/{id}/{step}", self.url);
            let (status, answer) = self.send(self.http.post(url).json(&json!({}))).await?;
            match status {
                200 => {}
                409 => {
                    self.story.late.fetch_add(1, Ordering::Relaxed);
                    bail!("{step} of {id}, which had 15 minutes: {answer}");
                }
                _ => bail!("{step} of {id}: {status} {answer}"),
            }
        }
        Ok(ends)
    }

    async fn reserve(&self, key: &str, order: &Value) -> anyhow::Result<(u16, Value)> {
        let url = format!("{}/reserve", self.url);
        let request = self.http.post(url).header("Idempotency-Key", key);
        self.send(request.json(order)).await
    }

    /// Sends a request, and again while its outcome is unclear.
    async fn send(&self, request: reqwest::RequestBuilder) -> anyhow::Result<(u16, Value)> {
        loop {
            let request = request.try_clone().context("its body is in memory")?;
            let sent = request.bearer_auth(TOKEN).send().await;
            if let Ok(response) = sent
                && let status @ ..500 = response.status().as_u16()
            {
                let answer = response.json().await?;
                return Ok((status, answer));
            }
            self.story.unclear.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
