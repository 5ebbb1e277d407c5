//! Whether what buyers were promised holds, and pages say what Postgres has.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;
use service_kit::testing::Process;

use crate::ledger::Ledger;
use crate::shop::{FORGOTTEN_FOR, Shop, skus};

/// Waits until the last forgotten reservation has ended, checks everything, and prints it. The
/// buyers have shopped for the time `took`.
pub(crate) async fn say(
    shop: &Shop,
    database: &str,
    catalog: &Process,
    took: Duration,
) -> anyhow::Result<()> {
    let ledger = Ledger::connect(database).await?;
    ledger
        .is_quiet(Duration::from_secs(FORGOTTEN_FOR + 90))
        .await?;
    let quiet = Instant::now();
    let same_after = pages_say(catalog, &ledger, quiet).await?;

    let story = &shop.story;
    let wanted = std::mem::take(&mut *story.wanted.lock().expect("nobody panics with it"));
    let findings = ledger.check(&wanted).await?;
    let late = ledger.lateness().await?;
    let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
    let asked = shop.reserves.count();
    println!(
        "{took:.0?}: {asked} carts ({:.0} a second, {}), {} granted, {} refused, \
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
    Ok(())
}

/// Waits until a page shows for all SKUs what Postgres has, from the cache. Returns how long after
/// the quiet began.
async fn pages_say(catalog: &Process, ledger: &Ledger, quiet: Instant) -> anyhow::Result<Duration> {
    let query: Vec<_> = skus().iter().map(|sku| format!("sku={sku}")).collect();
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
