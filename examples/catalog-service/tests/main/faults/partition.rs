//! One partition of the topic that stands still.

use std::collections::BTreeMap;
use std::time::Duration;

use service_kit::testing::{PATIENCE, eventually, within};
use stack::Proxy;

use super::{ASSIGNED, STALE, turns_to_inventory};
use crate::site::{Site, VARIANTS, counted, from_cache, lamps, reserve, shown, shows, sku};
use crate::topic::StockTopic;

const REVOKED: &str = "stockade_kafka_partitions_revoked_total";

#[tokio::test(flavor = "multi_thread")]
async fn one_partition_that_stands_still_turns_all_pages_to_inventory() {
    let Some(site) = Site::open(None).await else {
        return;
    };
    let inventory = site.inventory();
    let api = site.catalog("api", &[STALE]);
    // Each of two workers has some of the partitions, and one of them its own way to Redis.
    let working = site.catalog("availability", &[]);
    let proxy = Proxy::start(site.redis.address()).await.unwrap();
    let through_proxy = site.redis.url_at(proxy.address());
    let cut_off = site.catalog_over(&through_proxy, "availability", &[]);
    eventually("both workers have partitions", || async {
        counted(&working, ASSIGNED).await > 0.0 && counted(&cut_off, ASSIGNED).await > 0.0
    })
    .await;
    lamps(&api, &inventory).await;
    from_cache(&api, &[1, 2, 3]).await;

    proxy.refuse();
    // What was on its way is there.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let now = marks(&site);
    let advancing = || {
        let later = marks(&site).into_iter();
        let advanced = later.filter(|(partition, mark)| now[partition] < *mark);
        advanced.map(|(partition, _)| partition).collect::<Vec<_>>()
    };
    let owned = counted(&working, ASSIGNED).await - counted(&working, REVOKED).await;
    eventually("the partitions of the other worker advance", || async {
        advancing().len() as f64 == owned
    })
    .await;
    let advancing = advancing();
    let all = now.keys().copied();
    let standing: Vec<u32> = all.filter(|it| !advancing.contains(it)).collect();
    assert!(!standing.is_empty(), "{advancing:?}");

    // Sales in both kinds of partitions.
    let partitions = StockTopic::of(&site).await.partitions().await;
    let one_of = |kind: &[u32]| {
        let mut numbers = 1..VARIANTS;
        numbers
            .find(|number| kind.contains(&partitions[&sku(*number)]))
            .unwrap()
    };
    let (fresh, stale) = (one_of(&advancing), one_of(&standing));
    let mut expected: Vec<u64> = (1..VARIANTS as u64).collect();
    for number in [fresh, stale] {
        reserve(&inventory, number).await;
        expected[number - 1] -= 1;
    }
    turns_to_inventory(&api, &expected).await;
    // The oldest of all partitions is the age of the cache: of what is fresh as well.
    let only_fresh = api.read(&format!("/availability?sku={}", sku(fresh))).await;
    assert_ne!(shown(&only_fresh["items"][0]).source, "cache");
    eventually(
        "the cache has the sale in a partition that advances",
        || async { site.cached_units(fresh) == Some(expected[fresh - 1]) },
    )
    .await;
    assert_eq!(site.cached_units(stale), Some(expected[stale - 1] + 1));
    let later = marks(&site);
    for partition in &standing {
        assert_eq!(later[partition], now[partition]);
    }

    proxy.clear();
    within(PATIENCE * 2, "the page is from the cache again", || async {
        shows(&api, "cache", &expected).await
    })
    .await;
    for process in [api, working, cut_off, inventory] {
        process.stop();
    }
    site.close().await;
}

/// The last offset of each partition that the cache has.
fn marks(site: &Site) -> BTreeMap<u32, u128> {
    let marks = site.cached(" marks");
    let mark = |mark: &str| {
        let mut parts = mark.split(':');
        let mut next = || parts.next().unwrap();
        (next().parse().unwrap(), next().parse().unwrap())
    };
    marks.split(' ').map(mark).collect()
}
