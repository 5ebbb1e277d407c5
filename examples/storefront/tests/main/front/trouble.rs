//! Services that are down, slow, or refuse the token.

use std::time::{Duration, Instant};

use serde_json::json;
use service_kit::testing::eventually;
use stack::Proxy;

use super::site::{Site, TOKEN, finds, lamp, problem, receive, shows};

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_down_is_named_and_the_rest_works() {
    let Some(site) = Site::open() else { return };
    let (inventory, catalog) = (site.inventory(), site.catalog());
    let front = site.front(&[]);
    lamp(&front).await;
    receive(&front, "lamp-red", 5, "first").await;
    shows(&front, 5).await;
    finds(&front, "q=lamp", 1).await;
    assert_eq!(front.get("/readyz").await.0, 200);

    inventory.kill();
    let order = json!({"lines": [{"sku": "lamp-red", "quantity": 1}], "owner": "ada"});
    let (status, answer) = front.post("/reserve", &order).await;
    assert_eq!(
        (status, problem(&answer)),
        (503, ("unavailable", "inventory"))
    );
    assert!(
        answer["detail"]
            .as_str()
            .unwrap()
            .contains("nothing took effect")
    );
    // Pages are shown, with the stock that is known.
    shows(&front, 5).await;
    assert_eq!(front.get("/readyz").await.0, 200);

    catalog.kill();
    let (status, body) = front.get("/products/heron-lamp").await;
    let answer = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (status, problem(&answer)),
        (503, ("unavailable", "catalog"))
    );
    let (status, page) = front.get("/p/heron-lamp").await;
    assert_eq!(status, 503);
    assert!(page.contains("The shop does not answer"), "{page}");
    finds(&front, "q=lamp", 1).await;
    eventually("the front is not ready", || async {
        let (status, report) = front.get("/readyz").await;
        status == 503 && report.contains("catalog service")
    })
    .await;
    // A front starts meanwhile.
    let second = site.front(&[]);
    finds(&second, "q=lamp", 1).await;

    let (inventory, catalog) = (site.inventory(), site.catalog());
    eventually("the front is ready again", || async {
        front.get("/readyz").await.0 == 200
    })
    .await;
    assert_eq!(front.post("/reserve", &order).await.0, 201);
    shows(&front, 4).await;
    finds(&second, "q=lamp&filter=in_stock:true", 1).await;
    for process in [second, front, catalog, inventory] {
        process.stop();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_service_is_named_in_time_and_a_repeated_request_finds_what_it_did() {
    let Some(site) = Site::open() else { return };
    let (inventory, catalog) = (site.inventory(), site.catalog());
    let proxy = Proxy::start(site.inventory_address()).await.unwrap();
    let url = format!("http://{}", proxy.address());
    let front = site.front(&[("INVENTORY_SERVICE", &url), ("SERVICE_TIMEOUT", "2s")]);
    lamp(&front).await;
    receive(&front, "lamp-red", 5, "first").await;

    proxy.delay(Duration::from_secs(3));
    let asked = Instant::now();
    let (status, body) = front.get("/stock/lamp-red").await;
    let answer = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (status, problem(&answer)),
        (504, ("request-timeout", "inventory"))
    );
    let more = json!({
        "sku": "lamp-blue", "receive": 7, "reason": "delivery", "operation_id": "lamp-blue-first",
    });
    let (status, answer) = front.post("/stock", &more).await;
    assert_eq!(
        (status, problem(&answer)),
        (504, ("outcome-unknown", "inventory"))
    );
    assert!(
        asked.elapsed() < Duration::from_secs(6),
        "{:?}",
        asked.elapsed()
    );
    // Those of the catalogue do not wait for it.
    assert_eq!(front.get("/products").await.0, 200);

    proxy.clear();
    receive(&front, "lamp-blue", 7, "first").await;
    // The reply is lost, and the request has taken effect.
    proxy.lose_reply_to("lamp-blue-second");
    let more = json!({
        "sku": "lamp-blue", "receive": 1, "reason": "delivery", "operation_id": "lamp-blue-second",
    });
    let (status, answer) = front.post("/stock", &more).await;
    assert_eq!(
        (status, problem(&answer)),
        (504, ("outcome-unknown", "inventory"))
    );
    receive(&front, "lamp-blue", 1, "second").await;
    let stock = front.read("/stock/lamp-blue").await;
    assert_eq!(stock["physical"], 8);
    for process in [front, catalog, inventory] {
        process.stop();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_a_service_refuses_is_said_without_the_token() {
    let Some(site) = Site::open() else { return };
    let (inventory, catalog) = (site.inventory(), site.catalog());
    let wrong = "a-token-that-nobody-knows";
    let front = site.front(&[("INVENTORY_TOKEN", wrong)]);
    lamp(&front).await;
    let order = json!({"lines": [{"sku": "lamp-red", "quantity": 1}], "owner": "ada"});
    let (status, answer) = front.post("/reserve", &order).await;
    assert_eq!(
        (status, problem(&answer)),
        (502, ("bad-gateway", "inventory"))
    );
    assert_eq!(front.get("/stock/lamp-red").await.0, 404);
    let log = front.log();
    assert!(log.contains("--inventory-token"), "{log}");
    assert!(
        !log.contains(wrong) && !answer.to_string().contains(wrong),
        "{log}"
    );

    // Without the token of a service, the client's own is passed on.
    let passing = site.front(&[("INVENTORY_TOKEN", "")]);
    let (status, answer) = passing.post("/reserve", &order).await;
    assert_eq!((status, problem(&answer)), (401, ("unauthorized", "")));
    let (status, answer) = passing.post_with(TOKEN, "/reserve", &order).await;
    assert_eq!((status, problem(&answer)), (422, ("unknown-sku", "")));

    // A front with a token of its own passes on only what has it.
    let own = "token-of-the-front-012345";
    let guarded = site.front(&[("WRITE_TOKEN", own)]);
    assert_eq!(guarded.post("/reserve", &order).await.0, 401);
    let (status, answer) = guarded.post_with(own, "/reserve", &order).await;
    assert_eq!((status, problem(&answer)), (422, ("unknown-sku", "")));
    let large = json!({"lines": [], "owner": "a".repeat(2 << 20)});
    assert_eq!(guarded.post_with(own, "/reserve", &large).await.0, 413);
    for process in [passing, guarded, front, catalog, inventory] {
        process.stop();
    }
}
