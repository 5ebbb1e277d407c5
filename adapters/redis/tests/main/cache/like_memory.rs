//! The scripts decide as the core does: random calls have the same outcomes as in memory.

use std::time::Duration;

use fred::clients::Client;
use stockade_catalog_core::memory::MemoryAvailabilityCache;
use stockade_catalog_core::{Advance, AvailabilityCache, Completeness, FillToken};
use stockade_change_feed::{Offset, ReadFrom, Timestamp};
use stockade_inventory_core::{Sku, StockChanged, Version};
use stockade_redis::RedisAvailability;

use crate::harness::{PATIENCE, client, prefix, url};

const CALLS: usize = 1_500;

#[tokio::test(flavor = "multi_thread")]
async fn random_calls_on_one_server_have_the_outcomes_of_memory() {
    random_calls("STOCKADE_REDIS_URL").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn random_calls_on_a_cluster_have_the_outcomes_of_memory() {
    random_calls("STOCKADE_REDIS_CLUSTER_URL").await;
}

async fn random_calls(variable: &str) {
    let url = match url(variable) {
        Ok(url) => url,
        Err(absent) => return eprintln!("SKIPPED: {absent}"),
    };
    let client = client(&url).await;
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..3 {
        compare(&client, &mut random).await;
    }
}

async fn compare(client: &Client, random: &mut fastrand::Rng) {
    let redis = RedisAvailability::new(client.clone())
        .with_prefix(prefix())
        .with_timeout(PATIENCE);
    let memory = MemoryAvailabilityCache::new();
    // Fills as Redis names them, and as memory does.
    let mut fills: Vec<(FillToken, FillToken)> = Vec::new();
    for number in 0..CALLS / 3 {
        match random.u8(..8) {
            0..3 => {
                let (entries, advances) = (entries(random), advances(random));
                let got = redis.apply(&entries, &advances).await.unwrap();
                let expected = memory.apply(&entries, &advances).await.unwrap();
                assert_eq!(got, expected, "call {number}: {entries:?} {advances:?}");
            }
            3 => {
                let entries = entries(random);
                let got = redis.write(&entries).await.unwrap();
                let expected = memory.write(&entries).await.unwrap();
                assert_eq!(got, expected, "call {number}: {entries:?}");
            }
            4 => {
                let skus: Vec<Sku> = (0..random.usize(..3)).map(|_| sku(random)).collect();
                let hour = Duration::from_secs(3_600);
                redis.write_absent(&skus, hour).await.unwrap();
                memory.write_absent(&skus, hour).await.unwrap();
            }
            5 if fills.len() < 4 => {
                let fill = (
                    redis.begin_fill().await.unwrap(),
                    memory.begin_fill().await.unwrap(),
                );
                fills.push(fill);
            }
            6 if !fills.is_empty() => {
                let which = random.usize(..fills.len());
                let mut fill = fills[which].clone();
                if random.u8(..10) == 0 {
                    fill = (fill.0.next(), fill.1.next());
                }
                let entries = entries(random);
                let got = redis.fill(&fill.0, &entries).await.unwrap();
                let expected = memory.fill(&fill.1, &entries).await.unwrap();
                assert_eq!(got.entries, expected.entries, "call {number}");
                let steps = [&got, &expected].map(|step| step.next.as_ref().map(|next| next.step));
                assert_eq!(steps[0], steps[1], "call {number}: {fill:?}");
                match (got.next, expected.next) {
                    (Some(next), Some(expected)) => fills[which] = (next, expected),
                    _ => drop(fills.swap_remove(which)),
                }
            }
            7 if !fills.is_empty() => {
                let which = random.usize(..fills.len());
                let fill = fills.swap_remove(which);
                let got = redis.end_fill(&fill.0).await.unwrap();
                let expected = memory.end_fill(&fill.1).await.unwrap();
                assert_eq!(got, expected, "call {number}: {fill:?}");
            }
            _ => {}
        }
        let skus: Vec<Sku> = (0..random.usize(..5)).map(|_| sku(random)).collect();
        let mut got = redis.read(&skus).await.unwrap();
        let expected = memory.read(&skus).await.unwrap();
        got.marks.sort_by_key(|mark| mark.partition);
        assert_eq!(got, expected, "call {number}");
    }
}

fn sku(random: &mut fastrand::Rng) -> Sku {
    Sku::new(format!("sku-{}", random.u8(..12))).unwrap()
}

fn entries(random: &mut fastrand::Rng) -> Vec<StockChanged> {
    let entry = |random: &mut fastrand::Rng| {
        let version = Version::new(random.u32(..2), random.u64(..40));
        StockChanged::new(sku(random), random.u64(..100), version, Timestamp::EPOCH)
    };
    (0..random.usize(..6)).map(|_| entry(random)).collect()
}

fn advances(random: &mut fastrand::Rng) -> Vec<Advance> {
    let advance = |random: &mut fastrand::Rng| {
        let after = match random.u8(..12) {
            0 => ReadFrom::Start,
            1 => ReadFrom::Elsewhere,
            _ => ReadFrom::After(Offset(random.u128(..12))),
        };
        let heard = random.bool().then(|| Completeness {
            partitions: random.u32(2..4),
            epoch: random.u32(..2),
            complete_as_of: Timestamp::from_micros(random.i64(-4..9)),
        });
        let mut advance = Advance::empty(random.u32(..3), after, Offset(random.u128(..16)));
        advance.complete = heard;
        advance
    };
    (0..random.usize(..4)).map(|_| advance(random)).collect()
}
