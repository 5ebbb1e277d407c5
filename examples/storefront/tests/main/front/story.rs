use reqwest::Response;
use serde_json::{Value, json};
use service_kit::testing::{PATIENCE, Process, eventually};
use stack::Collector;

use super::site::{Site, finds, lamp, receive, shows};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CLIENT: &str = "00f067aa0ba902b7";

async fn reserve(front: &Process, key: &str, headers: &[(&str, &str)]) -> (u16, Response) {
    let order = json!({"lines": [{"sku": "lamp-red", "quantity": 2}], "owner": "ada"});
    let mut request = reqwest::Client::new()
        .post(format!("{}/reserve", front.url()))
        .header("Idempotency-Key", key)
        .json(&order);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = request.send().await.unwrap();
    (response.status().as_u16(), response)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_front_answers_as_the_services_do_and_search_follows_them() {
    let Some(site) = Site::open() else { return };
    let (inventory, catalog) = (site.inventory(), site.catalog());
    let front = site.front(&[]);
    lamp(&front).await;
    receive(&front, "lamp-red", 5, "first").await;
    shows(&front, 5).await;
    finds(&front, "q=herron&filter=in_stock:true", 1).await;

    // The answers are those of the services.
    for (path, of) in [
        ("/products", &catalog),
        ("/product-types", &catalog),
        ("/products/no-such-lamp", &catalog),
        ("/products?limit=0", &catalog),
        ("/stock/lamp-red", &inventory),
        ("/stock/lamp-red/movements", &inventory),
        ("/stock/no-such-lamp", &inventory),
        ("/reservations/none", &inventory),
    ] {
        assert_eq!(front.get(path).await, of.get(path).await, "{path}");
    }
    let documented = front.read("/openapi.json").await;
    for path in ["/products/{id}", "/reserve", "/search", "/events/stock"] {
        assert!(documented["paths"][path].is_object(), "{path}");
    }
    let gateway = &documented["paths"]["/reserve"]["post"]["responses"]["502"];
    assert!(
        gateway["content"]["application/problem+json"].is_object(),
        "{gateway}"
    );

    // A reservation is made once, and is where the service says.
    let (status, first) = reserve(&front, "cart-1", &[]).await;
    assert_eq!(status, 201);
    let place = first.headers()["location"].to_str().unwrap().to_owned();
    assert_eq!(first.headers()["idempotent-replayed"], "false");
    let (status, again) = reserve(&front, "cart-1", &[]).await;
    assert_eq!(
        (status, &again.headers()["location"]),
        (200, &place.parse().unwrap())
    );
    shows(&front, 3).await;
    let (status, confirmed) = front.post(&format!("{place}/confirm"), &json!({})).await;
    assert_eq!((status, &confirmed["state"]), (200, &json!("confirmed")));
    let too_many = json!({"lines": [{"sku": "lamp-red", "quantity": 4}], "owner": "ben"});
    let (status, refused) = front.post("/reserve", &too_many).await;
    assert_eq!(
        (status, &refused["shortages"][0]["open"]),
        (409, &json!(3)),
        "{refused}"
    );

    // Sold out: search and live stock hear of it.
    let mut events = reqwest::Client::new()
        .get(format!("{}/events/stock?sku=lamp-red", front.url()))
        .send()
        .await
        .unwrap();
    let mut heard = String::new();
    hear(&mut events, &mut heard, "event: snapshot").await;
    let rest = json!({"lines": [{"sku": "lamp-red", "quantity": 3}], "owner": "ben"});
    assert_eq!(front.post("/reserve", &rest).await.0, 201);
    hear(&mut events, &mut heard, "\"available\":0").await;
    finds(&front, "q=lamp&filter=in_stock:true", 0).await;
    let (status, cancelled) = front.post(&format!("{place}/cancel"), &json!({})).await;
    assert_eq!((status, &cancelled["state"]), (200, &json!("cancelled")));
    finds(&front, "q=lamp&filter=in_stock:true", 1).await;

    // A second front has an index of its own, which it fills with what there is.
    let second = site.front(&[]);
    finds(&second, "q=lamp&filter=in_stock:true", 1).await;
    let version = front.read("/products/heron-lamp").await["version"].clone();
    let changed = json!({
        "version": version, "title": "Crane Lamp", "product_type": "lamp",
        "variants": [{"sku": "lamp-red"}],
    });
    assert_eq!(second.put("/products/heron-lamp", &changed).await.0, 200);
    for one in [&front, &second] {
        finds(one, "q=crane", 1).await;
    }
    let health = front.read("/healthz").await;
    assert_eq!(
        (&health["status"], &health["circuit"]),
        (&json!("ok"), &Value::Null)
    );
    drop(events);
    for process in [second, front, catalog, inventory] {
        process.stop();
    }
}

/// Reads events until they contain this.
async fn hear(events: &mut Response, heard: &mut String, what: &str) {
    while !heard.contains(what) {
        let chunk = tokio::time::timeout(PATIENCE, events.chunk()).await;
        let chunk = chunk.unwrap_or_else(|_| panic!("{what} is not in {heard}"));
        heard.push_str(std::str::from_utf8(&chunk.unwrap().unwrap()).unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trace_of_a_client_goes_on_through_the_front() {
    let Some(mut site) = Site::open() else { return };
    let collector = Collector::start().await.unwrap();
    site.traces = Some(collector.url().to_owned());
    let (inventory, catalog) = (site.inventory(), site.catalog());
    let front = site.front(&[]);
    lamp(&front).await;
    receive(&front, "lamp-red", 5, "first").await;
    let context = format!("00-{TRACE}-{CLIENT}-01");
    let (status, _) = reserve(&front, "cart-1", &[("traceparent", &context)]).await;
    assert_eq!(status, 201);
    let request_of = |service: &str| {
        let spans = collector.spans(TRACE).into_iter();
        spans
            .filter(|span| span.service == service && span.name == "request")
            .collect::<Vec<_>>()
    };
    eventually("both spans are sent", || async {
        !request_of("storefront").is_empty() && !request_of("inventory-service").is_empty()
    })
    .await;
    let (outer, inner) = (request_of("storefront"), request_of("inventory-service"));
    assert_eq!(outer[0].parent, CLIENT);
    assert_eq!(inner[0].parent, outer[0].id);
    for process in [front, catalog, inventory] {
        process.stop();
    }
}
