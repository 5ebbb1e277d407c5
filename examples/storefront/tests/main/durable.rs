//! A shop over a database: what it keeps, and what it says while that hangs.

use std::time::Duration;

use serde_json::json;
use stack::{Postgres, Server as _};
use storefront::Options;

use crate::client::{Client, eventually, ledger};

async fn open(server: &Postgres) -> Client {
    let postgres = Some(server.url());
    Client::with(Options {
        postgres,
        ..Options::default()
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_finds_everything_again_after_its_database_was_killed() {
    let Some(mut server) = Postgres::for_test() else {
        return;
    };
    let shop = open(&server).await;
    shop.put("/product-types/thing", &json!({})).await;
    for id in ["velvet", "linen"] {
        let product = json!({
            "title": format!("{id} curtain"), "product_type": "thing",
            "variants": [{"sku": format!("{id}-1")}],
        });
        let answer = shop.put(&format!("/products/{id}"), &product).await;
        assert!(answer.status.is_success(), "{answer:?}");
    }
    shop.set_stock("velvet-1", 2).await;
    shop.set_stock("linen-1", 1).await;
    let order = json!({"lines": [{"sku": "linen-1", "quantity": 1}], "owner": "ada"});
    let reserved = shop.post("/reserve", &order).await;
    let id = reserved.body["id"].as_str().unwrap().to_owned();
    let confirmed = shop
        .post(&format!("/reservations/{id}/confirm"), &json!({}))
        .await;
    assert!(confirmed.status.is_success(), "{confirmed:?}");
    let in_stock = [("q", "curtain"), ("filter", "in_stock:true")];
    eventually("search knows what is left", || async {
        shop.found(&in_stock).await == ["velvet"]
    })
    .await;

    server.kill();
    shop.stop().await;
    server.restart().unwrap();

    let shop = open(&server).await;
    // The index is new, and stock was long published.
    eventually("search knows it again", || async {
        shop.found(&in_stock).await == ["velvet"]
    })
    .await;
    eventually("and what is sold out", || async {
        shop.found(&[("q", "curtain")]).await.len() == 2
    })
    .await;
    let kept = shop.get(&format!("/reservations/{id}")).await;
    assert_eq!(kept.body["state"], "confirmed");
    assert_eq!(ledger(&shop, "linen-1").await, [(1, 1), (1, 1)]);
    shop.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn health_and_metrics_are_told_while_the_database_hangs() {
    let Some(server) = Postgres::for_test() else {
        return;
    };
    let shop = open(&server).await;
    eventually("the log says how far its readers are", || async {
        shop.get("/healthz").await.body["consumer_lag"][0]["records"] == 0
    })
    .await;
    server.pause();
    // A call of the database takes 4 seconds until it is given up, and there are three to make.
    let patience = Duration::from_secs(3);
    for path in ["/healthz", "/metrics", "/healthz"] {
        let answer = tokio::time::timeout(patience, shop.get(path)).await;
        let answer = answer.unwrap_or_else(|_| panic!("{path} waits for the database"));
        assert!(answer.status.is_success(), "{answer:?}");
        if path == "/healthz" {
            let lag = answer.body["consumer_lag"].as_array().unwrap();
            assert_eq!(lag.len(), 3);
            assert!(
                lag.iter().all(|group| group["records"].is_null()),
                "{lag:?}"
            );
        }
    }
    server.resume();
    eventually("it is known again", || async {
        shop.get("/healthz").await.body["consumer_lag"][0]["records"] == 0
    })
    .await;
    shop.stop().await;
}
