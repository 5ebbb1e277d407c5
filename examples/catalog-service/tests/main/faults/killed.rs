//! Processes that are killed.

use std::time::{Duration, Instant};

use service_kit::testing::{PATIENCE, eventually, within};

use super::{SLACK, STALE, STALE_AFTER, turns_to_inventory};
use crate::site::{
    REFILLED, Site, VARIANTS, counted, from_cache, lamps, page, receive, reserve, shows, sku, units,
};
use crate::topic::StockTopic;

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
        from_cache(process, &[1, 2, 3]).await;
    }

    worker.kill();
    reserve(&inventory, 3).await;
    turns_to_inventory(&api, &[1, 2, 2]).await;
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
    from_cache(&catalog, &[1, 2, 2]).await;

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

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_that_is_killed_turns_pages_to_inventory_and_the_next_one_publishes_the_rest() {
    let Some(site) = Site::open(None).await else {
        return;
    };
    let inventory = site.inventory_as("api");
    let relay = site.inventory_as("relay");
    let api = site.catalog("api", &[STALE]);
    // What the threshold is for: this one trusts the cache whatever its age.
    let trusting = site.catalog("api", &["--stale-after=1h"]);
    let worker = site.catalog("availability", &[]);
    lamps(&api, &inventory).await;
    for process in [&api, &trusting] {
        from_cache(process, &[1, 2, 3]).await;
    }
    let refilled = counted(&worker, REFILLED).await;

    // In the middle of its work.
    for number in 3..VARIANTS {
        reserve(&inventory, number).await;
    }
    relay.kill();
    reserve(&inventory, 2).await;
    for number in 3..VARIANTS {
        receive(&inventory, number, 3).await;
    }
    turns_to_inventory(&api, &[1, 1, 5]).await;
    eventually("it shows what is sold", || async {
        shows(&trusting, "cache", &[1, 2]).await
    })
    .await;

    let relay = site.inventory_as("relay");
    for process in [&api, &trusting] {
        within(PATIENCE * 2, "the cache has caught up", || async {
            shows(process, "cache", &[1, 1, 5]).await
        })
        .await;
    }
    let expected = (1..VARIANTS as u64).map(|number| match number {
        1 | 2 => 1,
        number => number + 2,
    });
    let expected: Vec<_> = expected.collect();
    assert_eq!(units(&api).await, expected);
    // By the events, and not by a fill that hides what was lost.
    assert_eq!(counted(&worker, REFILLED).await, refilled);
    // What the first one had published without marking it is there again, and nothing older.
    let topic = StockTopic::of(&site).await;
    for number in [2, 3, VARIANTS - 1] {
        let changes = topic.changes(&sku(number)).await;
        assert!(changes.is_sorted_by_key(|it| it.version), "{changes:?}");
        assert_eq!(changes.last().unwrap().units, expected[number - 1]);
    }
    for process in [api, trusting, worker, relay, inventory] {
        process.stop();
    }
    site.close().await;
}
