use serde_json::json;

use crate::client::{Client, eventually};

async fn metrics(client: &Client) -> String {
    let request = client.request(reqwest::Method::GET, "/metrics");
    request.send().await.unwrap().text().await.unwrap()
}

#[tokio::test]
async fn all_metrics_are_described_and_count() {
    let client = Client::with_sample().await;
    eventually("search and pages have read the sample", || async {
        let health = client.get("/healthz").await.body;
        let lag = health["consumer_lag"].as_array().unwrap();
        lag.iter().all(|group| group["records"] == 0)
            && !client.found(&[("q", "tee")]).await.is_empty()
    })
    .await;
    client.get("/products/meadow-tee").await;
    client.get("/stock/no-such-sku").await;
    client.get("/no/such/path").await;
    let reserve = json!({"lines": [{"sku": "lamp-one-off", "quantity": 1}], "owner": "ada"});
    client.post("/reserve", &reserve).await;
    let behind = "stockade_feed_lag_records{group=\"availability\",topic=\"inventory_updates\"} 0";
    eventually("the lag is reported", || async {
        metrics(&client).await.contains(behind)
    })
    .await;
    let text = metrics(&client).await;
    for sample in [
        "service_http_requests_total{method=\"GET\",route=\"/products/{id}\",status=\"200\"}",
        "service_http_requests_total{method=\"GET\",route=\"/stock/{sku}\",status=\"404\"}",
        "service_http_requests_total{method=\"GET\",route=\"none\",status=\"404\"}",
        "service_http_request_seconds_bucket{method=\"GET\",route=\"/search\",le=\"+Inf\"}",
        "storefront_circuit{state=\"closed\"} 1",
        "stockade_feed_lag_seconds{group=\"search\",topic=\"catalog_changes\"}",
        "service_failed_workers 0",
        "process_resident_memory_bytes ",
        "stockade_catalog_operations_total{operation=\"put\",outcome=\"ok\"}",
        "stockade_catalog_operation_seconds_count{operation=\"get\"}",
        "stockade_inventory_operations_total{operation=\"reserve\",outcome=\"ok\"}",
        "stockade_inventory_operation_seconds_count{operation=\"reserve\"}",
        "stockade_inventory_relay_complete_age_seconds ",
        "stockade_search_rows_total{source=\"table\"}",
        "stockade_feed_records_handled_total{group=\"availability\",topic=\"inventory_updates\"}",
    ] {
        assert!(text.contains(sample), "{sample} is not in\n{text}");
    }
    assert!(!text.contains("no-such-sku"), "a path is no label:\n{text}");
    // Samples of a family stand under its help.
    for line in text.lines().filter(|line| line.starts_with("# TYPE ")) {
        let name = line.split(' ').nth(2).unwrap();
        assert!(
            text.contains(&format!("# HELP {name} ")),
            "{name} has no help"
        );
    }
}
