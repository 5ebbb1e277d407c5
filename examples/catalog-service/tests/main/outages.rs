//! Redis and Kafka that go down and come back, under services that run on.

use std::time::{Duration, Instant};

use service_kit::testing::{PATIENCE, eventually, within};
use stack::{Kafka, Server as _};

use crate::site::{
    REFILLED, Site, VARIANTS, counted, from_cache, lamps, receive, reserve, shows, units,
};

/// How long a page may take while a server is down.
const SOON: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn pages_outlive_redis_and_it_is_filled_again_without_a_restart_of_ours() {
    let Some(mut site) = Site::open(None).await else {
        return;
    };
    let inventory = site.inventory();
    let catalog = site.catalog("all", &[]);
    lamps(&catalog, &inventory).await;
    from_cache(&catalog, &[1, 2, 3]).await;

    site.redis.kill();
    for sold in 0..10 {
        if sold == 5 {
            reserve(&inventory, 3).await;
        }
        let asked = Instant::now();
        let third = if sold < 5 { 3 } else { 2 };
        assert!(shows(&catalog, "inventory", &[1, 2, third]).await, "{sold}");
        assert!(asked.elapsed() < SOON, "{:?}", asked.elapsed());
    }
    assert_eq!(catalog.get("/readyz").await.0, 200);

    // Processes start meanwhile, and pages are shown by them. The one that fills the cache is not
    // ready.
    let api = site.catalog("api", &[]);
    let worker = site.catalog("availability", &[]);
    assert!(shows(&api, "inventory", &[1, 2, 2]).await);
    assert_eq!(api.get("/readyz").await.0, 200);
    assert_eq!(worker.get("/readyz").await.0, 503);

    site.redis.restart_empty().unwrap();
    for process in [&catalog, &api] {
        within(PATIENCE * 2, "the cache is filled", || async {
            shows(process, "cache", &[1, 2, 2]).await
        })
        .await;
    }
    // All of it, and it is followed again.
    reserve(&inventory, 2).await;
    eventually("a change is seen", || async {
        shows(&api, "cache", &[1, 1, 2]).await
    })
    .await;
    let expected = (1..VARIANTS as u64).map(less_what_was_sold);
    assert!(expected.eq(units(&api).await));
    eventually("the worker is ready", || async {
        worker.get("/readyz").await.0 == 200
    })
    .await;
    for process in [api, worker, catalog, inventory] {
        process.stop();
    }
    site.close().await;
}

fn less_what_was_sold(units: u64) -> u64 {
    match units {
        2 | 3 => units - 1,
        units => units,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_while_kafka_is_down() {
    let Some(mut kafka) = Kafka::for_test() else {
        return;
    };
    let Some(site) = Site::open(Some(kafka.url())).await else {
        return;
    };
    let inventory = site.inventory();
    let catalog = site.catalog("all", &["--stale-after=6s"]);
    lamps(&catalog, &inventory).await;
    from_cache(&catalog, &[1, 2, 3]).await;
    let refilled = counted(&catalog, REFILLED).await;

    kafka.kill();
    for number in 1..VARIANTS {
        reserve(&inventory, number).await;
        receive(&inventory, number, 3).await;
    }
    within(PATIENCE, "pages turn to inventory", || async {
        shows(&catalog, "inventory", &[3, 4, 5]).await
    })
    .await;
    // Pages need no Kafka to start.
    let api = site.catalog("api", &["--stale-after=6s"]);
    assert!(shows(&api, "inventory", &[3, 4, 5]).await);

    kafka.restart().unwrap();
    within(Duration::from_secs(90), "the changes arrive", || async {
        shows(&catalog, "cache", &[3, 4, 5]).await
    })
    .await;
    let expected = (1..VARIANTS as u64).map(|units| units + 2);
    assert!(expected.eq(units(&catalog).await));
    // By the events, and not by a fill that hides what was lost.
    assert_eq!(counted(&catalog, REFILLED).await, refilled);
    for process in [api, catalog, inventory] {
        process.stop();
    }
    site.close().await;
}
