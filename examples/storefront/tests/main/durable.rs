//! What a shop over a database keeps.

use serde_json::json;
use stack::{Postgres, Server as _};
use storefront::Options;

use crate::client::{Client, eventually, ledger};

fn postgres() -> Option<Postgres> {
    match Postgres::start() {
        Ok(server) => Some(server),
        Err(error) if std::env::var_os("STOCKADE_REQUIRE_POSTGRES").is_none() => {
            eprintln!("SKIPPED: {error:#}");
            None
        }
        Err(error) => panic!("{error:#}"),
    }
}

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
    let Some(mut server) = postgres() else { return };
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
