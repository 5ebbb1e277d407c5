//! A shop whose stock goes by Kafka and Redis.

use std::time::{Duration, Instant};

use secrecy::SecretString;
use serde_json::json;
use service_kit::{KafkaBrokers, KafkaSettings, RedisSettings};
use stack::{Kafka, Postgres, Redis, Server as _};
use stockade_inventory_core::inventory_updates;
use stockade_redis::Prefix;
use storefront::Options;

use crate::client::{Client, eventually, ledger};

fn redis(server: &Redis) -> RedisSettings {
    RedisSettings {
        redis: Some(SecretString::from(server.url())),
        redis_prefix: Prefix::new("shop:").unwrap(),
    }
}

fn kafka(server: &Kafka) -> KafkaSettings {
    KafkaSettings {
        brokers: KafkaBrokers {
            kafka: vec![server.url()],
            kafka_tls: false,
            kafka_user: None,
            kafka_password: None,
        },
        kafka_topic: inventory_updates(),
        kafka_partitions: 3,
        kafka_replicas: None,
    }
}

/// Where the stock of the curtain came from, and how much there is.
async fn shown(shop: &Client) -> (String, u64) {
    let page = shop.get("/products/curtain").await.body;
    let availability = &page["variants"][0]["availability"];
    let source = availability["source"].as_str().unwrap().to_owned();
    (
        source,
        availability["available"].as_u64().unwrap_or(u64::MAX),
    )
}

/// Stock changes, pages and search see it, and a reservation expires by its timer.
async fn story(shop: &Client, units: u64) {
    shop.set_stock("curtain-1", units).await;
    eventually("the page is from the cache", || async {
        shown(shop).await == ("cache".to_owned(), units)
    })
    .await;
    eventually("search knows it", || async {
        let in_stock = [("q", "curtain"), ("filter", "in_stock:true")];
        shop.found(&in_stock).await == ["curtain"]
    })
    .await;
    let order = json!({
        "lines": [{"sku": "curtain-1", "quantity": units}], "owner": "ada", "ttl_seconds": 3,
    });
    let reserved = shop.post("/reserve", &order).await;
    assert_eq!(reserved.status, 201, "{reserved:?}");
    let at = Instant::now();
    eventually("it is sold out", || async {
        shown(shop).await == ("cache".to_owned(), 0)
    })
    .await;
    eventually("it comes back", || async {
        shown(shop).await == ("cache".to_owned(), units)
    })
    .await;
    // The sweep comes about every minute.
    assert!(at.elapsed() < Duration::from_secs(20), "{:?}", at.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_goes_by_redis_by_kafka_and_by_both() {
    let (Some(postgres), Some(mut cache), Some(log)) =
        (Postgres::for_test(), Redis::for_test(), Kafka::for_test())
    else {
        return;
    };
    let open = async |redis: Option<RedisSettings>, kafka: Option<KafkaSettings>| {
        Client::with(Options {
            postgres: Some(postgres.url()),
            redis,
            kafka,
            ..Options::default()
        })
        .await
    };
    let shop = open(Some(redis(&cache)), None).await;
    shop.put("/product-types/thing", &json!({})).await;
    let product = json!({
        "title": "Curtain", "product_type": "thing", "variants": [{"sku": "curtain-1"}],
    });
    let answer = shop.put("/products/curtain", &product).await;
    assert!(answer.status.is_success(), "{answer:?}");
    story(&shop, 5).await;
    let keys = cache.cli(&["KEYS", "*"]).unwrap();
    assert!(keys.contains("shop:availability:"), "{keys}");
    shop.stop().await;

    let shop = open(None, Some(kafka(&log))).await;
    story(&shop, 6).await;
    shop.stop().await;

    let shop = open(Some(redis(&cache)), Some(kafka(&log))).await;
    story(&shop, 7).await;
    // Pages are shown without Redis, and it is filled again.
    cache.restart_empty().unwrap();
    eventually("the cache is filled again", || async {
        shown(&shop).await == ("cache".to_owned(), 7)
    })
    .await;
    assert_eq!(ledger(&shop, "curtain-1").await, [(7, 0), (7, 0)]);
    shop.stop().await;
}
