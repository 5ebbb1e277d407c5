//! Clients that are made while the server is down.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use fred::error::ErrorKind;
use fred::interfaces::EventInterface as _;
use stack::{Redis, RedisOptions, Server as _};
use stockade_catalog_core::AvailabilityCache as _;
use stockade_change_feed::Retry;
use stockade_inventory_core::{ReservationId, ReservationTimer as _};
use stockade_redis::{
    RedisAvailability, RedisError, RedisTimers, TimerOptions, connect_in_background,
};

use crate::harness::PATIENCE;

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_starts_later_is_connected_to() {
    let Some(mut redis) = Redis::for_test() else {
        return;
    };
    redis.kill();
    let client = connect_in_background(&redis.url()).unwrap();
    let timeout = Duration::from_millis(300);
    let cache = RedisAvailability::new(client.clone()).with_timeout(timeout);
    let timers = RedisTimers::unchecked(client, TimerOptions::default().with_timeout(timeout));
    let cart = ReservationId::new("cart-1").unwrap();
    let armed = [(cart.clone(), Duration::from_secs(1))];
    for _ in 0..3 {
        let asked = Instant::now();
        let error = cache.read(&[]).await.unwrap_err();
        assert!(matches!(error.retry(), Retry::After(_)), "{error}");
        timers.arm(&armed).await.unwrap_err();
        assert!(asked.elapsed() < PATIENCE / 10, "{:?}", asked.elapsed());
    }

    redis.restart().unwrap();
    let begun = Instant::now();
    while let Err(error) = cache.read(&[]).await {
        assert!(begun.elapsed() < PATIENCE, "it does not connect: {error}");
    }
    timers.arm(&armed).await.unwrap();
    // Without notifications: the deadlines are enough.
    let at_most = NonZeroUsize::new(10).unwrap();
    assert_eq!(timers.due(at_most, PATIENCE).await.unwrap(), [cart]);
    assert!(!timers.settings().unchecked().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_reported_and_tried_again() {
    let options = RedisOptions::new().user("shop", "secret", "~* &* +@all");
    let Some(redis) = options.for_test() else {
        return;
    };
    let wrong = redis.url().replace("secret", "hunter2");
    let client = connect_in_background(&wrong).unwrap();
    let mut errors = client.error_rx();
    let reported = tokio::time::timeout(PATIENCE, errors.recv()).await;
    let (error, _) = reported.unwrap().unwrap();
    assert_eq!(*error.kind(), ErrorKind::Auth, "{error}");
    assert!(!error.to_string().contains("hunter2"), "{error}");

    redis.cli(&["ACL", "SETUSER", "shop", ">hunter2"]).unwrap();
    let cache = RedisAvailability::new(client).with_timeout(PATIENCE);
    cache.read(&[]).await.unwrap();
}

#[tokio::test]
async fn a_url_is_read_at_once() {
    let error = connect_in_background("redis://ada:hunter2@nowhere:port").unwrap_err();
    assert!(matches!(error, RedisError::Invalid { .. }), "{error}");
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
}
