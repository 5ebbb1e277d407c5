//! Servers that are hurt, full, or not set up.

use std::time::{Duration, Instant};

use fred::interfaces::KeysInterface as _;
use stack::{Proxy, Redis, RedisOptions, Server as _};
use stockade_catalog_core::{
    Advance, AvailabilityCache as _, CacheEntry, CacheWrite, CatalogError, Continuity, Coverage,
};
use stockade_change_feed::{Offset, ReadFrom, Retry, Timestamp};
use stockade_inventory_core::{Sku, StockChanged, Version};
use stockade_redis::{RedisAvailability, connect};

use crate::harness::{PATIENCE, client, client_trusting, documented_rights};

/// The key of the only bucket of one server.
const BUCKET: &str = "availability:1:{0/1:0}";

pub(super) fn sku(text: &str) -> Sku {
    Sku::new(text).unwrap()
}

pub(super) fn entry(of: &str, available: u64, number: u64) -> StockChanged {
    StockChanged::new(
        sku(of),
        available,
        Version::new(0, number),
        Timestamp::EPOCH,
    )
}

pub(super) fn known(available: u64, number: u64) -> Option<CacheEntry> {
    let version = Version::new(0, number);
    Some(CacheEntry::Known { available, version })
}

pub(super) fn following(after: u128, upto: u128) -> Advance {
    Advance::empty(0, ReadFrom::After(Offset(after)), Offset(upto))
}

/// A cache that is filled, and has applied the records of partition 0 up to 0.
pub(super) async fn filled(cache: &RedisAvailability) {
    let begun = Advance::empty(0, ReadFrom::Start, Offset(0));
    cache.apply(&[], &[begun]).await.unwrap();
    let token = cache.begin_fill().await.unwrap();
    let next = cache.fill(&token, &[]).await.unwrap().next.unwrap();
    assert_eq!(cache.end_fill(&next).await.unwrap(), Coverage::Filled);
}

async fn read_one(cache: &RedisAvailability, of: &str) -> Result<Option<CacheEntry>, CatalogError> {
    Ok(cache.read(&[sku(of)]).await?.entries[0])
}

/// Asks until there is an answer.
async fn until_ok<T, F>(ask: impl Fn() -> F) -> T
where
    F: Future<Output = Result<T, CatalogError>>,
{
    let begun = Instant::now();
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(error) => assert!(begun.elapsed() < PATIENCE, "it does not recover: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn scripts_that_were_flushed_are_sent_again() {
    let Some(redis) = Redis::for_test() else {
        return;
    };
    let cache = RedisAvailability::new(client(&redis.url()).await).with_timeout(PATIENCE);
    for number in 1..4 {
        cache.write(&[entry("tee", 5, number)]).await.unwrap();
        assert_eq!(read_one(&cache, "tee").await.unwrap(), known(5, number));
        redis.cli(&["SCRIPT", "FLUSH"]).unwrap();
    }
    // Sent once, and known from then on.
    cache.write(&[entry("tee", 5, 9)]).await.unwrap();
    let evals = || redis.cli(&["INFO", "commandstats"]).unwrap();
    let count = |stats: &str| {
        let line = stats
            .lines()
            .find(|line| line.starts_with("cmdstat_eval:"))
            .unwrap();
        line.split([':', ',']).nth(1).unwrap().to_owned()
    };
    let before = count(&evals());
    cache.write(&[entry("tee", 5, 10)]).await.unwrap();
    assert_eq!(count(&evals()), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_is_given_up_and_comes_back() {
    let Some(redis) = Redis::for_test() else {
        return;
    };
    let client = connect(&redis.url()).await.unwrap();
    let patient = RedisAvailability::new(client.clone()).with_timeout(PATIENCE);
    patient.write(&[entry("tee", 5, 1)]).await.unwrap();
    let timeout = Duration::from_millis(300);
    let cache = RedisAvailability::new(client).with_timeout(timeout);
    redis.pause();
    let begun = Instant::now();
    let error = read_one(&cache, "tee").await.unwrap_err();
    assert!(matches!(error.retry(), Retry::After(_)), "{error}");
    assert!(
        error.to_string().contains("no answer within 300ms"),
        "{error}"
    );
    let error = cache.write(&[entry("tee", 4, 2)]).await.unwrap_err();
    assert_eq!(error.retry(), Retry::OutcomeUnknown, "{error}");
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    // Longer than the driver waits before it connects again.
    tokio::time::sleep(Duration::from_secs(4)).await;
    read_one(&cache, "tee").await.unwrap_err();
    redis.resume();
    let read = until_ok(|| read_one(&patient, "tee")).await;
    assert!(read == known(5, 1) || read == known(4, 2), "{read:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_restarts_empty_is_unfilled_and_says_loading_meanwhile() {
    // Slow to load, and answers while it loads.
    let options = RedisOptions::new()
        .set("key-load-delay", "4000")
        .set("loading-process-events-interval-bytes", "1024");
    let Some(mut redis) = options.for_test() else {
        return;
    };
    let driver = client(&redis.url()).await;
    let cache = RedisAvailability::new(driver.clone()).with_timeout(Duration::from_millis(200));
    let patient = RedisAvailability::new(driver.clone()).with_timeout(PATIENCE);
    filled(&patient).await;
    patient.write(&[entry("tee", 5, 1)]).await.unwrap();
    for number in 0..500 {
        let () = driver
            .set(number, "x".repeat(100), None, None, false)
            .await
            .unwrap();
    }
    redis.save().unwrap();
    let restarting = std::thread::spawn(move || {
        redis.restart().unwrap();
        redis
    });
    let mut unavailable = 0;
    while !restarting.is_finished() {
        if let Err(error) = read_one(&cache, "tee").await {
            assert!(matches!(error.retry(), Retry::After(_)), "{error}");
            unavailable += 1;
        }
    }
    assert!(unavailable > 0, "it is not there while it loads");
    let mut redis = restarting.join().unwrap();
    assert_eq!(until_ok(|| read_one(&patient, "tee")).await, known(5, 1));
    redis.restart_empty().unwrap();
    let asked = [sku("tee")];
    let read = until_ok(|| patient.read(&asked)).await;
    assert_eq!(
        (read.coverage, read.entries),
        (Coverage::Unfilled, vec![None])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_server_still_answers_pages() {
    let Some(redis) = Redis::for_test() else {
        return;
    };
    let cache = RedisAvailability::new(client(&redis.url()).await).with_timeout(PATIENCE);
    cache.write(&[entry("tee", 5, 1)]).await.unwrap();
    redis.cli(&["CONFIG", "SET", "maxmemory", "1"]).unwrap();
    let error = cache.write(&[entry("tee", 4, 2)]).await.unwrap_err();
    assert!(matches!(error.retry(), Retry::After(_)), "{error}");
    assert!(error.to_string().contains("OOM"), "{error}");
    assert_eq!(read_one(&cache, "tee").await.unwrap(), known(5, 1));
    redis.cli(&["CONFIG", "SET", "maxmemory", "0"]).unwrap();
    cache.write(&[entry("tee", 4, 2)]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_became_a_replica_takes_no_writes() {
    let Some(redis) = Redis::for_test() else {
        return;
    };
    let cache = RedisAvailability::new(client(&redis.url()).await).with_timeout(PATIENCE);
    cache.write(&[entry("tee", 5, 1)]).await.unwrap();
    redis.cli(&["REPLICAOF", "127.0.0.1", "1"]).unwrap();
    let error = cache.write(&[entry("tee", 4, 2)]).await.unwrap_err();
    assert!(matches!(error.retry(), Retry::After(_)), "{error}");
    assert!(error.to_string().contains("READONLY"), "{error}");
    let connections = || redis.cli(&["INFO", "stats"]).unwrap();
    let before = connections();
    assert_eq!(read_one(&cache, "tee").await.unwrap(), known(5, 1));
    assert_ne!(
        connections(),
        before,
        "it connects again, perhaps to the new primary"
    );
    redis.cli(&["REPLICAOF", "NO", "ONE"]).unwrap();
    assert_eq!(
        cache.write(&[entry("tee", 4, 2)]).await.unwrap(),
        [CacheWrite::Stored]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_stored_is_damage() {
    let Some(redis) = Redis::for_test() else {
        return;
    };
    let cache = RedisAvailability::new(client(&redis.url()).await).with_timeout(PATIENCE);
    redis.cli(&["SET", BUCKET, "1"]).unwrap();
    let error = read_one(&cache, "tee").await.unwrap_err();
    assert!(matches!(error, CatalogError::Damaged { .. }), "{error}");
    redis.cli(&["DEL", BUCKET]).unwrap();
    redis.cli(&["HSET", BUCKET, "tee", "49"]).unwrap();
    let error = read_one(&cache, "tee").await.unwrap_err();
    assert!(error.to_string().contains(BUCKET), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_reply_does_not_lose_what_was_written() {
    let Some(redis) = Redis::for_test() else {
        return;
    };
    let proxy = Proxy::start(redis.address()).await.unwrap();
    let cache = RedisAvailability::new(client(&redis.url_at(proxy.address())).await);
    let cache = cache.with_timeout(PATIENCE);
    filled(&cache).await;
    for number in 1..6 {
        proxy.lose_reply_to("tee");
        let upto = u128::from(number);
        let applied = cache
            .apply(&[entry("tee", 5, number)], &[following(upto - 1, upto)])
            .await;
        // The driver repeats what it has no reply to, as long as time is left.
        assert_eq!(
            applied.unwrap().advances[0].continuity,
            Continuity::Continuous
        );
        let read = cache.read(&[sku("tee")]).await.unwrap();
        assert_eq!(read.entries, [known(5, number)]);
        assert_eq!(
            (read.marks[0].upto, read.coverage),
            (Offset(upto), Coverage::Filled)
        );
    }
    proxy.cut();
    assert_eq!(read_one(&cache, "tee").await.unwrap(), known(5, 5));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_rights_are_enough_by_tls() {
    let options = RedisOptions::new().tls();
    let options = options.user("shop", "secret", &documented_rights("cache"));
    let options = options.user("stranger", "secret", "~other:* +@all");
    let Some(redis) = options.for_test() else {
        return;
    };
    let client = client_trusting(&redis.url(), redis.certificates()).await;
    let cache = RedisAvailability::new(client).with_timeout(PATIENCE);
    filled(&cache).await;
    cache.write(&[entry("tee", 5, 1)]).await.unwrap();
    let minute = Duration::from_secs(60);
    cache.write_absent(&[sku("ghost")], minute).await.unwrap();
    cache
        .apply(&[entry("tee", 4, 2)], &[following(0, 1), following(8, 9)])
        .await
        .unwrap();
    let read = cache.read(&[sku("tee"), sku("ghost")]).await.unwrap();
    assert_eq!(read.entries, [known(4, 2), Some(CacheEntry::Absent)]);

    let stranger = redis.url().replace("shop:", "stranger:");
    let client = client_trusting(&stranger, redis.certificates()).await;
    let cache = RedisAvailability::new(client).with_timeout(PATIENCE);
    let error = read_one(&cache, "tee").await.unwrap_err();
    assert_eq!(error.retry(), Retry::Never, "{error}");
    for word in ["NOPERM", "ACL GETUSER"] {
        assert!(error.to_string().contains(word), "{word}: {error}");
    }
}
