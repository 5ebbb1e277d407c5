//! Buyers, and what they were promised.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use fastrand::Rng;
use futures::future::join_all;
use serde_json::{Value, json};
use service_kit::testing::Process;
use tokio::task::JoinHandle;

use crate::ledger::Wanted;
use crate::site::TOKEN;
use crate::times::Times;

const SKUS: usize = 100;
/// Of these there are few units, so that many carts are refused.
const SCARCE: usize = 20;
/// A reservation that is forgotten expires after 1 to this many seconds.
pub(crate) const FORGOTTEN_FOR: u64 = 5;

/// What happened.
#[derive(Default)]
pub(crate) struct Story {
    pub(crate) wanted: Mutex<Vec<(String, Wanted)>>,
    pub(crate) refused: AtomicU64,
    pub(crate) repeated: AtomicU64,
    /// A step after the deadline of its reservation, or one that was taken twice.
    pub(crate) late: AtomicU64,
    /// Requests without an answer; each was sent again.
    pub(crate) unclear: AtomicU64,
}

/// Inventory as buyers see it, and what they did there.
pub(crate) struct Shop {
    http: reqwest::Client,
    /// Where the processes of inventory listen; a request goes to any of them.
    urls: RwLock<Vec<String>>,
    pub(crate) story: Story,
    pub(crate) reserves: Times,
}

/// The names of all SKUs.
pub(crate) fn skus() -> Vec<String> {
    (0..SKUS).map(|number| format!("sku-{number}")).collect()
}

impl Shop {
    /// A shop over these processes, with stock of all SKUs.
    pub(crate) async fn open(inventory: &Process) -> anyhow::Result<Arc<Self>> {
        for (number, sku) in skus().iter().enumerate() {
            let units = if number < SCARCE { 20 } else { 1_000_000 };
            let body = json!({"sku": sku, "set": units, "reason": "opening", "operation_id": sku});
            let (status, answer) = inventory.post("/stock", &body).await;
            ensure!(status == 200, "{answer}");
        }
        let http = reqwest::Client::builder().timeout(Duration::from_secs(30));
        Ok(Arc::new(Self {
            http: http.build()?,
            urls: RwLock::new(vec![inventory.url().to_owned()]),
            story: Story::default(),
            reserves: Times::new(),
        }))
    }

    /// Where requests go from now on.
    pub(crate) fn moves_to(&self, inventory: &[&Process]) {
        let urls = inventory.iter().map(|process| process.url().to_owned());
        *self.urls.write().expect("nobody panics with it") = urls.collect();
    }

    /// Lets this number of buyers shop until the time `until`.
    pub(crate) fn buyers(
        self: &Arc<Self>,
        buyers: u64,
        until: Instant,
    ) -> JoinHandle<anyhow::Result<()>> {
        let shopping = (0..buyers).map(|buyer| {
            let shop = self.clone();
            tokio::spawn(async move { shop.shops(buyer, until).await })
        });
        let shopping: Vec<_> = shopping.collect();
        tokio::spawn(async move {
            for buyer in join_all(shopping).await {
                buyer??;
            }
            Ok(())
        })
    }

    fn url(&self) -> String {
        let urls = self.urls.read().expect("nobody panics with it");
        fastrand::choice(urls.iter())
            .expect("a shop has inventory")
            .clone()
    }

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
            // A request without an answer may have been granted.
            200 | 201 => answer["id"].as_str().context("an id")?.to_owned(),
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
            let path = format!("/reservations/{id}/{step}");
            let (status, answer) = self.send(&path, None, &json!({})).await?;
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
        self.send("/reserve", Some(key), order).await
    }

    /// Sends a request, and again while its outcome is unclear.
    async fn send(
        &self,
        path: &str,
        key: Option<&str>,
        body: &Value,
    ) -> anyhow::Result<(u16, Value)> {
        loop {
            let mut request = self.http.post(self.url() + path).json(body);
            if let Some(key) = key {
                request = request.header("Idempotency-Key", key);
            }
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
