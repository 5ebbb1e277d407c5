//! One story, told by one process and by a process for each role: a change of stock arrives in
//! Kafka, and a reservation expires by its timer, once.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use service_kit::testing::{PATIENCE, Process, eventually};
use stack::{Redis, Server as _};
use stockade_change_feed::{Feed as _, Group, PollLimits, SubscribeOptions, Subscription, Topic};
use stockade_http::{HttpOptions, HttpStockSource};
use stockade_inventory_core::{Sku, StockChanged, StockEvent, StockSource as _};
use stockade_kafka::{KafkaClient, KafkaConfig, KafkaFeed};

use crate::process::Site;

#[tokio::test]
async fn one_process_does_all() {
    let Some(site) = Site::open().await else {
        return;
    };
    let all = site.start("all");
    story(&site, &all, &all, &all).await;
    all.stop();
    site.close().await;
}

#[tokio::test]
async fn each_role_is_a_process() {
    let Some(site) = Site::open().await else {
        return;
    };
    let [api, relay, expiry, retention] =
        ["api", "relay", "expiry", "retention"].map(|role| site.start(role));
    story(&site, &api, &relay, &expiry).await;
    // Only one of them has the routes.
    for process in [&relay, &expiry, &retention] {
        assert_eq!(process.get("/stock/lamp").await.0, 404);
        assert_eq!(process.get("/readyz").await.0, 200);
    }
    for process in [api, relay, expiry, retention] {
        process.stop();
    }
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_are_answered_while_redis_is_down_from_the_start() {
    let Some(site) = Site::open().await else {
        return;
    };
    let Some(mut redis) = Redis::for_test() else {
        return;
    };
    redis.kill();
    let api = site.start_over("api", &redis.url());
    assert_eq!(api.get("/readyz").await.0, 200);
    let delivery =
        json!({"sku": "lamp", "receive": 5, "reason": "delivery", "operation_id": "d-1"});
    assert_eq!(api.post("/stock", &delivery).await.0, 200);
    let order =
        json!({"lines": [{"sku": "lamp", "quantity": 1}], "owner": "ada", "ttl_seconds": 3});
    let asked = Instant::now();
    assert_eq!(api.post("/reserve", &order).await.0, 201);
    assert!(
        asked.elapsed() < Duration::from_secs(2),
        "it waits for Redis"
    );

    // It connects by itself, and its timers are acted on.
    redis.restart().unwrap();
    let expiry = site.start_over("expiry", &redis.url());
    eventually("a timer is set and acted on", || async {
        let (status, reserved) = api.post("/reserve", &order).await;
        assert_eq!(status, 201, "{reserved}");
        let path = format!("/reservations/{}", reserved["id"].as_str().unwrap());
        tokio::time::sleep(Duration::from_secs(5)).await;
        api.read(&path).await["state"] == "expired"
    })
    .await;
    api.stop();
    expiry.stop();
    site.close().await;
}

async fn story(site: &Site, api: &Process, relay: &Process, expiry: &Process) {
    let mut log = Log::open(site).await;
    for process in [api, relay, expiry] {
        assert_eq!(process.get("/livez").await.0, 204);
        eventually("it is ready", || async {
            process.get("/readyz").await.0 == 200
        })
        .await;
    }

    // Writes need the token, reads do not.
    let delivery =
        json!({"sku": "lamp", "receive": 5, "reason": "delivery", "operation_id": "d-1"});
    assert_eq!(
        api.post_with("not-the-token-0123", "/stock", &delivery)
            .await
            .0,
        401
    );
    let (status, received) = api.post("/stock", &delivery).await;
    assert_eq!((status, &received["level"]["physical"]), (200, &json!(5)));
    assert_eq!(log.until_count("lamp", 5).await.version.number, 1);

    // A reservation is in the log, and other services read it.
    let order =
        json!({"lines": [{"sku": "lamp", "quantity": 2}], "owner": "ada", "ttl_seconds": 3});
    let reserved_at = Instant::now();
    let (status, reservation) = api.post("/reserve", &order).await;
    assert_eq!(status, 201, "{reservation}");
    log.until_count("lamp", 3).await;
    let source = HttpStockSource::new(HttpOptions::new(api.url()).unwrap()).unwrap();
    let lamp = Sku::new("lamp").unwrap();
    let stock = source.stock(&[lamp]).await.unwrap().remove(0).unwrap();
    assert_eq!((stock.physical(), stock.reserved()), (5, 2));

    // It expires at its deadline, long before the sweep of every minute, and once.
    let path = format!("/reservations/{}", reservation["id"].as_str().unwrap());
    eventually("the reservation expires", || async {
        api.read(&path).await["state"] == "expired"
    })
    .await;
    let took = reserved_at.elapsed();
    assert!(
        took >= Duration::from_secs(3),
        "it expired early, after {took:?}"
    );
    assert!(
        took < Duration::from_secs(20),
        "it expired late, after {took:?}"
    );
    log.until_count("lamp", 5).await;
    let metrics = expiry.get("/metrics").await.1;
    let by_timer = metrics.lines().find(|line| {
        line.starts_with("stockade_inventory_expired_total") && line.contains("timer")
    });
    assert!(
        by_timer.is_some_and(|line| line.ends_with(" 1")),
        "{by_timer:?}"
    );
    assert!(
        relay
            .get("/metrics")
            .await
            .1
            .contains("stockade_inventory_published_total")
    );
    let expirations = || async {
        let page = api.read("/stock/lamp/movements").await;
        let movements = page["movements"].as_array().unwrap().clone();
        let given_back = movements.iter().filter(|it| it["reserved"] == -2).count();
        (movements.len(), given_back)
    };
    assert_eq!(expirations().await, (3, 1), "received, reserved, expired");

    // The steps of reservations that are kept.
    for (key, steps, last) in [
        ("sold", vec!["extend", "confirm", "fulfil"], "fulfilled"),
        ("regretted", vec!["confirm", "cancel"], "cancelled"),
        ("put-back", vec!["release"], "released"),
    ] {
        let order = json!({"lines": [{"sku": "lamp", "quantity": 1}], "owner": key});
        let (status, reservation) = api.post("/reserve", &order).await;
        assert_eq!(status, 201, "{reservation}");
        let id = reservation["id"].as_str().unwrap();
        let mut state = Value::Null;
        for step in steps {
            let (status, done) = api
                .post(&format!("/reservations/{id}/{step}"), &json!({}))
                .await;
            assert_eq!(status, 200, "{step}: {done}");
            state = done["state"].clone();
        }
        assert_eq!(state, last);
    }
    log.until_count("lamp", 4).await;
    let stock = api.read("/stock/lamp").await;
    assert_eq!(
        (&stock["physical"], &stock["reserved"]),
        (&json!(4), &json!(0))
    );
    assert_eq!(expirations().await.1, 1, "it came back once");
}

/// Reads the topic as another service does.
struct Log {
    member: Box<dyn Subscription>,
    last: Option<StockChanged>,
}

impl Log {
    async fn open(site: &Site) -> Self {
        let config = KafkaConfig::new([&site.kafka]).unwrap();
        let feed = KafkaFeed::new(KafkaClient::connect(config).await.unwrap());
        let (group, topic) = (
            Group::new(&site.name).unwrap(),
            Topic::new(&site.name).unwrap(),
        );
        let topics = [topic];
        let member = feed.subscribe(&group, &topics, SubscribeOptions::default());
        let member = member.await.unwrap();
        Self { member, last: None }
    }

    /// Reads until the newest event of the SKU has this count. Versions must not decrease.
    async fn until_count(&mut self, sku: &str, count: u64) -> StockChanged {
        let began = Instant::now();
        loop {
            if let Some(last) = self.last.as_ref().filter(|it| it.new_stock_count == count) {
                return last.clone();
            }
            assert!(
                began.elapsed() < PATIENCE,
                "no event says {count}: {:?}",
                self.last
            );
            let polled = self.member.poll(&PollLimits::default()).await.unwrap();
            for record in &polled.records {
                let event = StockEvent::from_record(record).unwrap();
                let Some(StockEvent::Changed(changed)) = event else {
                    continue;
                };
                assert_eq!(changed.sku.as_str(), sku);
                if let Some(last) = &self.last {
                    assert!(
                        changed.version >= last.version,
                        "{changed:?} after {last:?}"
                    );
                }
                self.last = Some(changed);
            }
        }
    }
}
