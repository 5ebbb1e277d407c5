//! One reservation, followed from its request to the cache of pages.

use serde_json::json;
use service_kit::testing::eventually;
use stack::{Collector, Span};

use crate::site::{Site, TOKEN, from_cache, lamps, shows, sku};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CLIENT: &str = "00f067aa0ba902b7";

#[tokio::test(flavor = "multi_thread")]
async fn a_reservation_is_one_trace_from_its_request_to_redis() {
    let Some(mut site) = Site::open(None).await else {
        return;
    };
    let collector = Collector::start().await.unwrap();
    site.traces = Some(collector.url().to_owned());
    let inventory = site.inventory();
    let catalog = site.catalog("all", &[]);
    lamps(&catalog, &inventory).await;
    from_cache(&catalog, &[1, 2, 3]).await;

    let order = json!({"lines": [{"sku": sku(3), "quantity": 1}], "owner": "ada"});
    let reserved = reqwest::Client::new()
        .post(format!("{}/reserve", inventory.url()))
        .bearer_auth(TOKEN)
        .header("traceparent", format!("00-{TRACE}-{CLIENT}-01"))
        .json(&order)
        .send()
        .await
        .unwrap();
    assert_eq!(reserved.status(), 201);
    eventually("the reservation is seen", || async {
        shows(&catalog, "cache", &[1, 2, 2]).await
    })
    .await;
    // Spans are sent in batches, a few seconds apart.
    eventually("all spans are sent", || async {
        let spans = collector.spans(TRACE);
        ["request", "handle"]
            .iter()
            .all(|name| spans.iter().any(|span| span.name == *name))
    })
    .await;

    let spans = collector.spans(TRACE);
    let handled = spans.iter().find(|span| span.name == "handle").unwrap();
    let names = |span: &Span| (span.service.clone(), span.name.clone());
    let mut way = vec![names(handled)];
    let mut last = handled;
    while let Some(parent) = spans.iter().find(|span| span.id == last.parent) {
        way.push(names(parent));
        last = parent;
    }
    assert_eq!(last.parent, CLIENT, "{spans:#?}");
    let way: Vec<_> = way
        .iter()
        .rev()
        .map(|(service, name)| (service.as_str(), name.as_str()))
        .collect();
    let expected = [
        ("inventory-service", "request"),
        ("inventory-service", "reserve"),
        ("inventory-service", "postgres"),
        ("inventory-service", "publish"),
        ("catalog-service", "handle"),
    ];
    assert_eq!(way, expected);
    for process in [catalog, inventory] {
        process.stop();
    }
    site.close().await;
}
