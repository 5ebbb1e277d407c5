//! The same test with one process and with a process for each role: a reservation at the inventory
//! service is seen on a page of the catalogue, through Kafka and Redis.

use serde_json::json;
use service_kit::testing::{Process, eventually};

use crate::site::{Site, VARIANTS, from_cache, lamps, page, reserve, shown, shows, sku};

#[tokio::test(flavor = "multi_thread")]
async fn one_process_does_all() {
    let Some(site) = Site::open(None).await else {
        return;
    };
    let inventory = site.inventory();
    let all = site.catalog("all", &[]);
    story(&inventory, &all, &all).await;
    all.stop();
    inventory.stop();
    site.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_is_a_process() {
    let Some(site) = Site::open(None).await else {
        return;
    };
    let inventory = site.inventory();
    let [api, worker] = ["api", "availability"].map(|role| site.catalog(role, &[]));
    story(&inventory, &api, &worker).await;
    // Only one of them has the routes.
    assert_eq!(worker.get("/products/lamp").await.0, 404);
    for process in [api, worker, inventory] {
        process.stop();
    }
    site.close().await;
}

async fn story(inventory: &Process, api: &Process, worker: &Process) {
    for process in [api, worker] {
        assert_eq!(process.get("/livez").await.0, 204);
        eventually("it is ready", || async {
            process.get("/readyz").await.0 == 200
        })
        .await;
    }
    let (status, _) = api
        .post_with("not-the-token-0123", "/products/lamp", &json!({}))
        .await;
    assert_eq!(status, 401, "writes need the token");
    lamps(api, inventory).await;
    from_cache(api, &[1, 2, 3]).await;

    reserve(inventory, 3).await;
    eventually("the reservation is seen", || async {
        shows(api, "cache", &[1, 2, 2]).await
    })
    .await;
    // Nobody asked the inventory service for it: the page says how old the cache is.
    let of_product = page(api).await;
    assert!(
        of_product.iter().all(|it| it.age.unwrap() < 30.0),
        "{of_product:?}"
    );
    assert_eq!(
        of_product[VARIANTS - 1].available,
        None,
        "it is not stocked"
    );

    // By SKU, in the order of the request.
    let skus: Vec<_> = (1..=VARIANTS)
        .rev()
        .map(|it| format!("sku={}", sku(it)))
        .collect();
    let by_sku = api.read(&format!("/availability?{}", skus.join("&"))).await;
    assert_eq!(by_sku["circuit"], "closed");
    let items = by_sku["items"].as_array().unwrap().iter().rev();
    for (item, on_page) in items.zip(&of_product) {
        let item = shown(item);
        assert_eq!(
            (item.available, &item.source),
            (on_page.available, &on_page.source)
        );
    }

    let metrics = api.get("/metrics").await.1;
    let line = r#"catalog_service_circuit{state="closed"} 1"#;
    assert!(metrics.contains(line), "{metrics}");
    eventually("no change waits", || async {
        let metrics = worker.get("/metrics").await.1;
        metrics
            .lines()
            .any(|line| line.starts_with("stockade_feed_lag_records{") && line.ends_with("} 0"))
    })
    .await;
    let document = api.read("/openapi.json").await;
    for path in ["/products/{id}", "/availability"] {
        assert!(document["paths"][path].is_object(), "{path}");
    }
}
