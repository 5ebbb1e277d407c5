//! Timers on servers that are hurt, and as others see them.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fred::interfaces::{EventInterface as _, KeysInterface as _, PubsubInterface as _};
use stack::{Redis, RedisCluster, Server as _};
use stockade_change_feed::Retry;
use stockade_inventory_core::{ReservationId, ReservationTimer as _};
use stockade_redis::{RedisTimers, TimerOptions};

use crate::harness::{PATIENCE, client, prefix, url};

/// More than are due at a time.
const AT_MOST: NonZeroUsize = NonZeroUsize::new(100).unwrap();

fn id(name: impl std::fmt::Display) -> ReservationId {
    ReservationId::new(name.to_string()).unwrap()
}

async fn start(url: &str) -> RedisTimers {
    let options = TimerOptions::default().with_timeout(PATIENCE);
    RedisTimers::start(client(url).await, options)
        .await
        .unwrap()
}

/// Arms a timer, and waits until it comes.
async fn comes(timers: &RedisTimers, name: &str) {
    timers
        .arm(&[(id(name), Duration::from_millis(50))])
        .await
        .unwrap();
    assert_eq!(timers.due(AT_MOST, PATIENCE).await.unwrap(), [id(name)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_cli_sees_what_people_know() {
    let Some(redis) = Redis::for_test() else {
        return;
    };
    let timers = start(&redis.url()).await;
    let armed = [(id("cart-1"), Duration::from_secs(900))];
    timers.arm(&armed).await.unwrap();
    assert_eq!(
        redis.cli(&["GET", "reservation_timeout:cart-1"]).unwrap(),
        "1"
    );
    let left = redis.cli(&["PTTL", "reservation_timeout:cart-1"]).unwrap();
    assert!(
        (890_000..=900_000).contains(&left.parse().unwrap()),
        "{left}"
    );
    let set = redis.cli(&["KEYS", "reservation_timeouts:*"]).unwrap();
    assert_eq!(redis.cli(&["ZRANGE", &set, "0", "-1"]).unwrap(), "cart-1");
    timers.disarm(&[id("cart-1")]).await.unwrap();
    let left = redis.cli(&["KEYS", "reservation_timeout*"]).unwrap();
    assert_eq!(left, "", "nothing is left of it");
}

#[tokio::test(flavor = "multi_thread")]
async fn others_who_listen_hear_of_expired_keys_in_time() {
    let Some(redis) = Redis::for_test() else {
        return;
    };
    let timers = start(&redis.url()).await;
    let listener = client(&redis.url()).await;
    let mut events = listener.keyspace_event_rx();
    listener.subscribe("__keyevent@0__:expired").await.unwrap();
    // Redis itself finds expired keys by and by: there are many others.
    let driver = client(&redis.url()).await;
    for number in 0..5_000 {
        let expires = Some(fred::types::Expiration::EX(3_600));
        let () = driver.set(number, 1, expires, None, false).await.unwrap();
    }
    let armed: Vec<_> = (0..40)
        .map(|n| (id(n), Duration::from_millis(50 * n)))
        .collect();
    timers.arm(&armed).await.unwrap();
    let begun = Instant::now();
    let working = tokio::spawn({
        let timers = timers.clone();
        async move {
            loop {
                timers
                    .due(AT_MOST, Duration::from_millis(200))
                    .await
                    .unwrap();
            }
        }
    });
    let mut heard = 0;
    while heard < armed.len() {
        let event = tokio::time::timeout(PATIENCE, events.recv())
            .await
            .unwrap()
            .unwrap();
        heard += usize::from(event.key.as_str_lossy().starts_with("reservation_timeout:"));
    }
    working.abort();
    assert!(
        begun.elapsed() < Duration::from_secs(6),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn many_workers_share_the_due_ones_in_time_on_one_server() {
    punctual("STOCKADE_REDIS_URL").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_workers_share_the_due_ones_in_time_on_a_cluster() {
    punctual("STOCKADE_REDIS_CLUSTER_URL").await;
}

/// 2,000 deadlines spread over 8 seconds, and 4 workers: each comes once, and in time.
async fn punctual(variable: &str) {
    const TIMERS: u64 = 2_000;
    let url = match url(variable) {
        Ok(url) => url,
        Err(absent) => return eprintln!("SKIPPED: {absent}"),
    };
    let prefix = prefix();
    let mut workers = Vec::new();
    for _ in 0..4 {
        let options = TimerOptions::default()
            .with_prefix(prefix.clone())
            .with_timeout(PATIENCE);
        let timers = RedisTimers::start(client(&url).await, options).await;
        workers.push(timers.unwrap());
    }
    let after = |n: u64| Duration::from_secs(2) + Duration::from_millis(n * 4);
    let armed: Vec<_> = (0..TIMERS).map(|n| (id(n), after(n))).collect();
    workers[0].arm(&armed).await.unwrap();
    let begun = Instant::now();
    let working = workers.into_iter().map(|timers| {
        tokio::spawn(async move {
            let mut taken = Vec::new();
            while begun.elapsed() < Duration::from_secs(13) {
                let due = timers
                    .due(AT_MOST, Duration::from_millis(500))
                    .await
                    .unwrap();
                taken.extend(due.into_iter().map(|id| (id, begun.elapsed())));
            }
            taken
        })
    });
    let working: Vec<_> = working.collect();
    let mut late = Vec::new();
    let mut workers_that_took = 0;
    let mut ids = BTreeSet::new();
    for worker in working {
        let taken = worker.await.unwrap();
        workers_that_took += usize::from(!taken.is_empty());
        for (id, at) in taken {
            let due = after(id.as_str().parse().unwrap());
            late.push(at.saturating_sub(due));
            assert!(ids.insert(id.clone()), "{id} came twice");
        }
    }
    assert_eq!(ids.len() as u64, TIMERS, "timers that came");
    assert!(workers_that_took > 1, "they share");
    late.sort();
    let at = |percent: usize| late[(late.len() - 1) * percent / 100];
    println!(
        "late: p50 {:?}, p99 {:?}, most {:?}",
        at(50),
        at(99),
        at(100)
    );
    assert!(at(99) < Duration::from_secs(2), "{:?}", at(99));
}

#[tokio::test(flavor = "multi_thread")]
async fn timers_go_on_after_a_restart_and_hear_again() {
    let Some(mut redis) = Redis::for_test() else {
        return;
    };
    let timers = start(&redis.url()).await;
    comes(&timers, "before").await;
    let lost = [(id("lost"), Duration::from_millis(500))];
    timers.arm(&lost).await.unwrap();
    redis.restart_empty().unwrap();
    let due = timers.due(AT_MOST, Duration::from_secs(2)).await.unwrap();
    assert_eq!(due, [], "what is lost with a server is found by a sweep");
    comes(&timers, "after").await;
    let listeners = redis
        .cli(&["PUBSUB", "NUMSUB", "__keyevent@0__:expired"])
        .unwrap();
    assert_eq!(listeners.lines().last(), Some("1"), "it listens again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_is_an_error_in_time() {
    let Some(mut redis) = Redis::for_test() else {
        return;
    };
    let options = TimerOptions::default().with_timeout(Duration::from_millis(500));
    let timers = RedisTimers::start(client(&redis.url()).await, options)
        .await
        .unwrap();
    let armed = [(id("cart-1"), Duration::from_millis(1))];
    for is_killed in [false, true] {
        match is_killed {
            true => redis.kill(),
            false => redis.pause(),
        }
        let begun = Instant::now();
        let error = timers.arm(&armed).await.unwrap_err();
        assert_eq!(error.retry(), Retry::OutcomeUnknown, "{error}");
        let error = timers.due(AT_MOST, PATIENCE).await.unwrap_err();
        assert_eq!(error.retry(), Retry::OutcomeUnknown, "{error}");
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "{:?}",
            begun.elapsed()
        );
    }
    redis.restart().unwrap();
    let begun = Instant::now();
    while timers.arm(&armed).await.is_err() {
        assert!(begun.elapsed() < PATIENCE, "it does not recover");
    }
    while timers
        .due(AT_MOST, Duration::ZERO)
        .await
        .is_ok_and(|due| due.is_empty())
    {
        assert!(begun.elapsed() < PATIENCE, "it does not recover");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failover_loses_no_other_servers_timers() {
    let Some(mut cluster) = RedisCluster::for_test() else {
        return;
    };
    let timers = Arc::new(start(&cluster.url()).await);
    let armed: Vec<_> = (0..200).map(|n| (id(n), Duration::from_secs(1))).collect();
    timers.arm(&armed).await.unwrap();
    cluster.node(0).kill();
    let begun = Instant::now();
    let mut taken = BTreeSet::new();
    // Replicas have what was armed, as soon as one has taken over.
    while taken.len() < armed.len() && begun.elapsed() < 2 * PATIENCE {
        let due = timers.due(AT_MOST, Duration::from_millis(500)).await;
        taken.extend(due.unwrap_or_default());
    }
    assert!(taken.len() > 150, "{} of 200 timers came", taken.len());
    cluster.agreed().unwrap();
    let again = timers.arm(&armed).await;
    again.unwrap();
    let listeners = |node: &Redis| {
        let said = node
            .cli(&["PUBSUB", "NUMSUB", "__keyevent@0__:expired"])
            .unwrap();
        said.lines().last().unwrap().to_owned()
    };
    let begun = Instant::now();
    while cluster.nodes()[1..4]
        .iter()
        .any(|node| listeners(node) != "1")
    {
        let _ = timers.due(AT_MOST, Duration::from_millis(100)).await;
        assert!(
            begun.elapsed() < PATIENCE,
            "it does not listen at the new primary"
        );
    }
}
