//! What the servers have to be set to, and what is said where they are not.

use std::num::NonZeroUsize;
use std::time::Duration;

use stack::{Redis, RedisCluster, RedisOptions, Server as _};
use stockade_change_feed::Retry;
use stockade_inventory_core::{InventoryError, ReservationId, ReservationTimer as _};
use stockade_redis::{RedisError, RedisTimers, Role, TimerOptions};

use crate::harness::{PATIENCE, client, client_trusting, documented_rights};

/// More than are due at a time.
const AT_MOST: NonZeroUsize = NonZeroUsize::new(100).unwrap();

fn options() -> TimerOptions {
    TimerOptions::default().with_timeout(PATIENCE / 4)
}

/// Why timers do not start there.
async fn refused(url: &str) -> String {
    let started = RedisTimers::start(client(url).await, options()).await;
    let error = started.expect_err("they have to be set up first");
    assert!(matches!(error, RedisError::Settings { .. }), "{error}");
    assert_eq!(InventoryError::from(error.clone()).retry(), Retry::Never);
    error.to_string()
}

async fn comes(timers: &RedisTimers) {
    let id = ReservationId::new("cart-1").unwrap();
    let soon = Duration::from_millis(100);
    timers.arm(&[(id.clone(), soon)]).await.unwrap();
    assert_eq!(timers.due(AT_MOST, PATIENCE).await.unwrap(), [id]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_notifications_is_told_the_command() {
    let Some(redis) = RedisOptions::new()
        .set("notify-keyspace-events", "K$")
        .for_test()
    else {
        return;
    };
    let said = refused(&redis.url()).await;
    let command = "CONFIG SET notify-keyspace-events $KEx";
    for word in [&redis.address().to_string(), command, "redis.conf"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    let words: Vec<&str> = command.split(' ').collect();
    redis.cli(&words).unwrap();
    let timers = RedisTimers::start(client(&redis.url()).await, options())
        .await
        .unwrap();
    comes(&timers).await;
    assert!(timers.settings().problems().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_of_a_server_are_looked_at_too() {
    let Some(redis) = Redis::for_test() else {
        return;
    };
    let replica = RedisOptions::new()
        .set("notify-keyspace-events", "")
        .start()
        .unwrap();
    let port = redis.address().port().to_string();
    replica.cli(&["REPLICAOF", "127.0.0.1", &port]).unwrap();
    while !redis
        .cli(&["INFO", "replication"])
        .unwrap()
        .contains("state=online")
    {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let said = refused(&redis.url()).await;
    assert!(said.contains(&replica.address().to_string()), "{said}");
    replica
        .cli(&["CONFIG", "SET", "notify-keyspace-events", "Ex"])
        .unwrap();
    let timers = RedisTimers::start(client(&redis.url()).await, options())
        .await
        .unwrap();
    let servers = &timers.settings().servers;
    let roles: Vec<Role> = servers.iter().map(|server| server.role).collect();
    assert_eq!(roles, [Role::Primary, Role::Replica]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_member_of_a_cluster_is_looked_at() {
    let Some(cluster) = RedisCluster::for_test() else {
        return;
    };
    for silent in [1, 4] {
        let node = &cluster.nodes()[silent];
        node.cli(&["CONFIG", "SET", "notify-keyspace-events", ""])
            .unwrap();
        let said = refused(&cluster.url()).await;
        for (number, other) in cluster.nodes().iter().enumerate() {
            let address = other.address().to_string();
            assert_eq!(
                said.contains(&address),
                number == silent,
                "{address}: {said}"
            );
        }
        node.cli(&["CONFIG", "SET", "notify-keyspace-events", "AE"])
            .unwrap();
    }
    let timers = RedisTimers::start(client(&cluster.url()).await, options())
        .await
        .unwrap();
    comes(&timers).await;
    assert_eq!(timers.settings().servers.len(), 6);
    assert!(timers.settings().unchecked().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn where_config_is_forbidden_a_key_that_expires_tells() {
    let rights = documented_rights("timer").replace("+config|get", "");
    let with = |events| {
        let options = RedisOptions::new().set("notify-keyspace-events", events);
        options.user("timer", "secret", &rights).for_test()
    };
    let Some(redis) = with("Ex") else {
        return;
    };
    let timers = RedisTimers::start(client(&redis.url()).await, options())
        .await
        .unwrap();
    comes(&timers).await;
    let unchecked = timers.settings().unchecked().join("\n");
    for word in [&redis.address().to_string(), "NOPERM"] {
        assert!(unchecked.contains(word), "{word}: {unchecked}");
    }
    let silent = with("").unwrap();
    let said = refused(&silent.url()).await;
    assert!(
        said.contains("CONFIG SET notify-keyspace-events Ex"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_may_not_listen_is_told_so() {
    let rights = documented_rights("timer").replace("&__keyevent@*__:expired", "resetchannels");
    let Some(redis) = RedisOptions::new()
        .user("timer", "secret", &rights)
        .for_test()
    else {
        return;
    };
    let said = refused(&redis.url()).await;
    assert!(said.contains("&__keyevent@0__:expired"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_rights_are_enough_by_tls() {
    let options = RedisOptions::new().tls();
    let Some(redis) = options
        .user("timer", "secret", &documented_rights("timer"))
        .for_test()
    else {
        return;
    };
    let client = client_trusting(&redis.url(), redis.certificates()).await;
    let timers = RedisTimers::start(client, self::options()).await.unwrap();
    comes(&timers).await;
    let id = ReservationId::new("cart-2").unwrap();
    timers.disarm(&[id]).await.unwrap();
    assert!(timers.settings().unchecked().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_documented_rights_are_enough_on_a_cluster_by_tls() {
    let options = RedisOptions::new().tls();
    let options = options.user("timer", "secret", &documented_rights("timer"));
    let Some(cluster) = options.cluster_for_test() else {
        return;
    };
    let client = client_trusting(&cluster.url(), cluster.certificates()).await;
    let timers = RedisTimers::start(client, self::options()).await.unwrap();
    comes(&timers).await;
    assert!(
        timers.settings().unchecked().is_empty(),
        "{:?}",
        timers.settings()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_evicts_is_a_problem() {
    let Some(redis) = RedisOptions::new()
        .set("maxmemory-policy", "volatile-ttl")
        .for_test()
    else {
        return;
    };
    let timers = RedisTimers::start(client(&redis.url()).await, options())
        .await
        .unwrap();
    let problems = timers.settings().problems().join("\n");
    for word in [&redis.address().to_string(), "volatile-ttl", "noeviction"] {
        assert!(problems.contains(word), "{word}: {problems}");
    }
}
