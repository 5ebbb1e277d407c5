//! A cluster that fails over, and whose slots move.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use stack::{RedisCluster, RedisOptions, Server as _};
use stockade_catalog_core::{AvailabilityCache as _, CacheEntry, Continuity, Coverage};
use stockade_change_feed::Offset;
use stockade_inventory_core::Sku;
use stockade_redis::{RedisAvailability, connect};

use crate::cache::faults::{entry, filled, following, known, sku};
use crate::harness::{PATIENCE, client, client_trusting, documented_rights};

/// SKUs in all buckets.
fn shop() -> Vec<Sku> {
    (0..200)
        .map(|number| sku(&format!("tee-{number}")))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_that_loses_writes_is_a_gap() {
    let Some(mut cluster) = RedisCluster::for_test() else {
        return;
    };
    let cache = RedisAvailability::new(client(&cluster.url()).await).with_timeout(PATIENCE);
    filled(&cache).await;
    let entries: Vec<_> = shop().iter().map(|sku| entry(sku.as_str(), 9, 1)).collect();
    cache.apply(&entries, &[following(0, 1)]).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;

    // From here on the replica of this primary gets nothing.
    cut_off_replica(&cluster);
    for number in 2..=101 {
        let upto = u128::from(number);
        let entries: Vec<_> = shop()
            .iter()
            .map(|sku| entry(sku.as_str(), 8, number))
            .collect();
        let applied = cache
            .apply(&entries, &[following(upto - 1, upto)])
            .await
            .unwrap();
        assert_eq!(applied.advances[0].continuity, Continuity::Continuous);
    }
    cluster.node(0).kill();
    while cluster.primaries_as_told_by(5).unwrap() != [1, 2, 3] {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    let read = until_read(&cache, &shop()).await;
    let lost = read
        .entries
        .iter()
        .filter(|entry| **entry == known(9, 1))
        .count();
    assert!(
        (20..150).contains(&lost),
        "a third of the SKUs has fallen back: {lost} of 200"
    );
    assert_eq!(
        read.marks[0].upto,
        Offset(1),
        "the oldest mark of all buckets counts"
    );
    assert_eq!(
        read.coverage,
        Coverage::Filled,
        "nobody has noticed yet, but the marks are old"
    );

    let applied = cache.apply(&[], &[following(101, 102)]).await.unwrap();
    let gap = Continuity::Gap {
        upto: Some(Offset(1)),
    };
    assert_eq!(applied.advances[0].continuity, gap);
    let read = cache.read(&shop()).await.unwrap();
    assert_eq!(read.coverage, Coverage::Unfilled);
    // Whoever reads none of the buckets that fell back is not concerned.
    let mut kept = shop();
    kept.retain(|sku| {
        let place = shop().iter().position(|other| other == sku).unwrap();
        read.entries[place] != known(9, 1)
    });
    let one = cache.read(&kept[..1]).await.unwrap();
    assert_eq!(
        (one.marks[0].upto, one.coverage),
        (Offset(102), Coverage::Filled)
    );

    let token = cache.begin_fill().await.unwrap();
    let page: Vec<_> = shop()
        .iter()
        .map(|sku| entry(sku.as_str(), 7, 101))
        .collect();
    let next = cache.fill(&token, &page).await.unwrap().next.unwrap();
    assert_eq!(cache.end_fill(&next).await.unwrap(), Coverage::Filled);
}

/// Ends the replication from the first primary to its replica, which is not let in again.
pub(crate) fn cut_off_replica(cluster: &RedisCluster) {
    let (primary, replica) = (&cluster.nodes()[0], &cluster.nodes()[3]);
    replica
        .cli(&["CONFIG", "SET", "masterauth", "wrong"])
        .unwrap();
    primary.cli(&["CLIENT", "KILL", "TYPE", "replica"]).unwrap();
}

async fn until_read(cache: &RedisAvailability, skus: &[Sku]) -> stockade_catalog_core::CacheRead {
    let begun = Instant::now();
    loop {
        match cache.read(skus).await {
            Ok(read) => return read,
            Err(error) => assert!(begun.elapsed() < PATIENCE, "it does not recover: {error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_that_move_in_mid_traffic_change_nothing() {
    let Some(cluster) = RedisCluster::for_test() else {
        return;
    };
    let cache = RedisAvailability::new(connect(&cluster.url()).await.unwrap());
    let cache = cache.with_timeout(PATIENCE);
    filled(&cache).await;
    let stop = Arc::new(AtomicBool::new(false));
    let calls = Arc::new(AtomicU64::new(0));
    let traffic: Vec<_> = (0..8)
        .map(|task| tokio::spawn(traffic(cache.clone(), task, stop.clone(), calls.clone())))
        .collect();
    let moved = tokio::task::block_in_place(|| move_buckets(&cluster));
    let during = calls.load(Ordering::Relaxed);
    tokio::time::sleep(Duration::from_millis(500)).await;
    stop.store(true, Ordering::Relaxed);
    for task in traffic {
        task.await.unwrap();
    }
    assert!(moved >= 10, "{moved} buckets have moved");
    assert!(during > 100, "{during} calls were made meanwhile");
    let read = cache.read(&[]).await.unwrap();
    assert_eq!(read.coverage, Coverage::Filled, "nothing was lost");
}

/// Writes SKUs of its own, and reads exactly what it has written.
async fn traffic(
    cache: RedisAvailability,
    task: u64,
    stop: Arc<AtomicBool>,
    calls: Arc<AtomicU64>,
) {
    let names: Vec<String> = (0..25).map(|n| format!("sku-{task}-{n}")).collect();
    let skus: Vec<Sku> = names.iter().map(|name| sku(name)).collect();
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        number += 1;
        let available = number * 10 + task;
        let entries: Vec<_> = names
            .iter()
            .map(|name| entry(name, available, number))
            .collect();
        cache.write(&entries).await.unwrap();
        let read = cache.read(&skus).await.unwrap();
        let expected: Vec<Option<CacheEntry>> = vec![known(available, number); skus.len()];
        assert_eq!(read.entries, expected, "task {task}");
        assert_eq!(read.marks.len(), 1, "task {task}");
        calls.fetch_add(1, Ordering::Relaxed);
    }
}

/// Moves every bucket of the first primary to the second, and returns how many that were.
fn move_buckets(cluster: &RedisCluster) -> usize {
    let (from, to) = (&cluster.nodes()[0], &cluster.nodes()[1]);
    let ids = [from, to].map(|node| node.cli(&["CLUSTER", "MYID"]).unwrap());
    let keys = from.cli(&["KEYS", "availability:*"]).unwrap();
    let port = to.address().port().to_string();
    for key in keys.lines() {
        let slot = from.cli(&["CLUSTER", "KEYSLOT", key]).unwrap();
        to.cli(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &ids[0]])
            .unwrap();
        from.cli(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &ids[1]])
            .unwrap();
        from.cli(&["MIGRATE", "127.0.0.1", &port, key, "0", "5000"])
            .unwrap();
        // The key is there, and the slot is not yet.
        std::thread::sleep(Duration::from_millis(30));
        for node in &cluster.nodes()[..3] {
            node.cli(&["CLUSTER", "SETSLOT", &slot, "NODE", &ids[1]])
                .unwrap();
        }
    }
    keys.lines().count()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_rights_are_enough_on_a_cluster_by_tls() {
    let options = RedisOptions::new().tls();
    let options = options.user("shop", "secret", &documented_rights("cache"));
    let Some(cluster) = options.cluster_for_test() else {
        return;
    };
    let client = client_trusting(&cluster.url(), cluster.certificates()).await;
    let cache = RedisAvailability::new(client).with_timeout(PATIENCE);
    filled(&cache).await;
    let entries: Vec<_> = shop().iter().map(|sku| entry(sku.as_str(), 9, 1)).collect();
    cache.write(&entries).await.unwrap();
    let read = cache.read(&shop()).await.unwrap();
    assert!(read.entries.iter().all(|entry| *entry == known(9, 1)));
}
