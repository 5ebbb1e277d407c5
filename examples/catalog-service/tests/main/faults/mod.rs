//! Services that are killed: pages show what is known.

use std::time::{Duration, Instant};

use service_kit::testing::{PATIENCE, eventually, within};

use crate::site::{Site, lamps, page, reserve, shows};

/// The age at which pages stop trusting the cache.
const STALE_AFTER: Duration = Duration::from_secs(6);
const STALE: &str = "--stale-after=6s";
/// Time for a request on a busy machine.
const SLACK: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_killed_turns_pages_to_inventory_until_another_has_caught_up() {
    let Some(site) = Site::open(None).await else {
        return;
    };
    let inventory = site.inventory();
    let api = site.catalog("api", &[STALE]);
    // What the threshold is for: this one trusts the cache whatever its age.
    let trusting = site.catalog("api", &["--stale-after=1h"]);
    let worker = site.catalog("availability", &[]);
    lamps(&api, &inventory).await;
    for process in [&api, &trusting] {
        eventually("the page is from the cache", || async {
            shows(process, "cache", &[1, 2, 3]).await
        })
        .await;
    }

    worker.kill();
    let killed = Instant::now();
    reserve(&inventory, 3).await;
    while !shows(&api, "inventory", &[1, 2, 2]).await {
        let waited = killed.elapsed();
        assert!(
            waited < STALE_AFTER + SLACK,
            "the page is old for {waited:?}"
        );
        for item in page(&api).await {
            let old = item.source == "cache" && item.age.unwrap() > STALE_AFTER.as_secs_f64();
            assert!(!old, "{item:?}");
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(
        shows(&trusting, "cache", &[1, 2, 3]).await,
        "it shows what is sold"
    );

    let worker = site.catalog("availability", &[]);
    for process in [&api, &trusting] {
        within(PATIENCE * 2, "the cache has caught up", || async {
            shows(process, "cache", &[1, 2, 2]).await
        })
        .await;
    }
    for process in [api, trusting, worker, inventory] {
        process.stop();
    }
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_outlive_inventory_with_the_last_known_stock_and_its_age() {
    let Some(site) = Site::open(None).await else {
        return;
    };
    let inventory = site.inventory();
    let catalog = site.catalog("all", &[STALE]);
    lamps(&catalog, &inventory).await;
    reserve(&inventory, 3).await;
    eventually("the page is from the cache", || async {
        shows(&catalog, "cache", &[1, 2, 2]).await
    })
    .await;

    inventory.kill();
    let killed = Instant::now();
    assert!(
        shows(&catalog, "cache", &[1, 2, 2]).await,
        "the cache is right"
    );
    while !shows(&catalog, "last_known", &[1, 2, 2]).await {
        let page = page(&catalog).await;
        let stocked = page.iter().take(3).map(|it| it.available);
        assert!(stocked.eq([Some(1), Some(2), Some(2)]), "{page:?}");
        let waited = killed.elapsed();
        assert!(waited < STALE_AFTER + SLACK, "{waited:?}: {page:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let ages = || async { page(&catalog).await[0].age.unwrap() };
    let before = ages().await;
    assert!(before > STALE_AFTER.as_secs_f64(), "{before}");
    tokio::time::sleep(Duration::from_secs(1)).await;
    let after = ages().await;
    assert!(after >= before + 1.0, "{after} after {before}");
    assert_eq!(catalog.get("/readyz").await.0, 200);

    let inventory = site.inventory();
    reserve(&inventory, 2).await;
    within(PATIENCE * 2, "the page is from the cache again", || async {
        shows(&catalog, "cache", &[1, 1, 2]).await
    })
    .await;
    catalog.stop();
    inventory.stop();
    site.close().await;
}
