//! Absences end, and are bounded.

use std::time::Duration;

use fred::interfaces::ClientLike as _;
use fred::types::{ClusterHash, CustomCommand, Value};
use stack::{Redis, Server as _};
use stockade_catalog_core::AvailabilityCache as _;
use stockade_inventory_core::Sku;
use stockade_redis::RedisAvailability;

use crate::cache::faults::entry;
use crate::harness::{PATIENCE, client};

const BUCKET: &str = "availability:1:{0/1:0}";

fn skus(range: std::ops::Range<u32>) -> Vec<Sku> {
    range
        .map(|n| Sku::new(format!("ghost-{n}")).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn absences_that_have_ended_are_removed() {
    let Some(redis) = Redis::for_test() else {
        return;
    };
    let client = client(&redis.url()).await;
    let cache = RedisAvailability::new(client.clone()).with_timeout(PATIENCE);
    let known: Vec<_> = (0..1_000)
        .map(|n| entry(&format!("tee-{n}"), 5, 1))
        .collect();
    cache.write(&known).await.unwrap();
    for batch in 0..100 {
        let ghosts = skus(batch * 50..(batch + 1) * 50);
        cache
            .write_absent(&ghosts, Duration::from_millis(1))
            .await
            .unwrap();
    }
    let fields: usize = redis.cli(&["HLEN", BUCKET]).unwrap().parse().unwrap();
    assert!(
        (1_000..1_600).contains(&fields),
        "{fields} of 6,000 are left"
    );
    let known: Vec<_> = known.into_iter().map(|entry| entry.sku).collect();
    let read = cache.read(&known).await.unwrap();
    assert!(read.entries.iter().all(Option::is_some));
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_absences_make_room_for_each_other() {
    let Some(redis) = Redis::for_test() else {
        return;
    };
    let client = client(&redis.url()).await;
    let lua = concat!(
        include_str!("../../../src/now.lua"),
        include_str!("../../../src/cache/lua/absent.lua")
    );
    for batch in 0..60 {
        let call = [lua, "1", "bucket", "call", "60000", "100"].map(Value::from);
        let ghosts = skus(batch * 20..(batch + 1) * 20);
        let ghosts = ghosts.iter().map(|sku| sku.as_str().into());
        let arguments: Vec<Value> = call.into_iter().chain(ghosts).collect();
        let eval = CustomCommand::new_static("EVAL", ClusterHash::Random, false);
        let _: Value = client.custom(eval, arguments).await.unwrap();
    }
    let fields: usize = redis.cli(&["HLEN", "bucket"]).unwrap().parse().unwrap();
    let absences = redis.cli(&["HGET", "bucket", " absences"]).unwrap();
    let absences: usize = absences.parse().unwrap();
    assert_eq!(fields, absences + 2, "with the count and the cursor");
    assert!(
        (80..=300).contains(&absences),
        "{absences} of 1,200 are left"
    );
}
