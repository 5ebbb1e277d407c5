use std::time::Duration;

use serde_json::{Value, json};
use stockade_catalog_core::CircuitConfig;
use storefront::Options;

use crate::client::{Client, eventually};

#[tokio::test]
async fn a_page_outlives_inventory() {
    let circuit = CircuitConfig::default()
        .with_open_after(Duration::from_secs(2))
        .with_close_below(Duration::from_secs(1));
    let client = Client::with(Options {
        circuit,
        ..Options::default()
    })
    .await;
    client.import(sample_catalogue::SAMPLE).await;
    let page = || async { client.get("/products/kiln-mug").await.body };
    let availability = |page: &Value| page["variants"][0]["availability"].clone();
    eventually("the page reads its stock from the cache", || async {
        availability(&page().await)["source"] == "cache"
    })
    .await;

    client
        .put("/faults", &json!({"inventory": "unreachable"}))
        .await;
    eventually(
        "the circuit opens and the last known stock is shown",
        || async {
            let page = page().await;
            page["circuit"] != "closed" && availability(&page)["source"] == "last_known"
        },
    )
    .await;
    let shown = availability(&page().await);
    assert_eq!(
        (&shown["state"], &shown["available"]),
        (&json!("in_stock"), &json!(60))
    );
    assert!(shown["age_seconds"].as_f64().unwrap() >= 1.0, "{shown}");

    client
        .put("/faults", &json!({"inventory": "reachable"}))
        .await;
    eventually("the circuit closes again", || async {
        let page = page().await;
        page["circuit"] == "closed" && availability(&page)["source"] == "cache"
    })
    .await;
}

#[tokio::test]
async fn a_change_of_stock_reaches_pages() {
    let client = Client::with_sample().await;
    client.set_stock("mug-kiln", 7).await;
    eventually("the page shows the new stock", || async {
        let page = client.get("/products/kiln-mug").await.body;
        page["variants"][0]["availability"]["available"] == 7
    })
    .await;
}
