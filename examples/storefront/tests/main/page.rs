//! What the page is made of, and the events that it hears, without a browser.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::client::{Client, eventually};

async fn text(client: &Client, path: &str) -> (StatusCode, reqwest::header::HeaderMap, String) {
    let response = client.request(Method::GET, path).send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    (status, headers, response.text().await.unwrap())
}

#[tokio::test]
async fn the_document_allows_no_script_but_its_own_and_is_asked_for_each_time() {
    let client = Client::with_sample().await;
    let (status, headers, html) = text(&client, "/").await;
    assert_eq!(status, StatusCode::OK);
    let policy = headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.starts_with("default-src 'none'; script-src 'self';"),
        "{policy}"
    );
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(headers["cache-control"], "no-cache");
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert!(
        !html.contains("<script>") && !html.contains("style="),
        "{html}"
    );
}

#[tokio::test]
async fn parts_of_the_page_are_kept_for_ever_and_of_another_version_only_until_asked() {
    let client = Client::new().await;
    let (_, _, html) = text(&client, "/").await;
    let (_, rest) = html.split_once("href=\"/assets/").unwrap();
    let (version, _) = rest.split_once('/').unwrap();
    for (name, content_type) in [
        ("page.css", "text/css"),
        ("main.js", "text/javascript"),
        ("figtree.woff2", "font/woff2"),
        ("icon.svg", "image/svg+xml"),
    ] {
        let path = format!("/assets/{version}/{name}");
        let (status, headers, _) = text(&client, &path).await;
        assert_eq!(status, StatusCode::OK);
        assert!(
            headers["content-type"]
                .to_str()
                .unwrap()
                .starts_with(content_type)
        );
        assert_eq!(
            headers["cache-control"],
            "public, max-age=31536000, immutable"
        );
        let request = client.request(Method::GET, &path);
        let request = request.header("If-None-Match", &headers["etag"]);
        let again = request.send().await.unwrap();
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(again.bytes().await.unwrap().len(), 0);
    }
    let (status, headers, _) = text(&client, "/assets/older/main.js").await;
    assert_eq!(
        (status, &headers["cache-control"]),
        (StatusCode::OK, &"no-cache".parse().unwrap())
    );
    let (status, _, _) = text(&client, "/assets/older/..%2FCargo.toml").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn without_scripts_one_finds_products_and_reads_about_them() {
    let client = Client::with_sample().await;
    eventually("the search finds it", || async {
        text(&client, "/?q=medow+tee")
            .await
            .2
            .contains("<a href=\"/p/meadow-tee\">Meadow Tee</a>")
    })
    .await;
    let (status, _, html) = text(&client, "/p/meadow-tee").await;
    assert_eq!(status, StatusCode::OK);
    assert!(
        html.contains("<title>Meadow Tee · Stockade General Store</title>"),
        "{html}"
    );
    assert!(
        html.contains("<td>meadow-gr-m</td><td>15 in stock</td>"),
        "{html}"
    );
    let (status, _, html) = text(&client, "/p/not-there").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(html.contains("There is no such product"), "{html}");
    let (status, _, html) = text(&client, "/?q=%3Cscript%3Ealert(1)%3C/script%3E").await;
    assert_eq!(status, StatusCode::OK);
    assert!(!html.contains("<script>alert"), "{html}");
}

/// A stream of events, read one at a time.
struct Events {
    response: reqwest::Response,
    text: String,
}

impl Events {
    async fn open(client: &Client, path: &str) -> Self {
        let response = client.request(Method::GET, path).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self {
            response,
            text: String::new(),
        }
    }

    /// The name and data of the next event; none where the stream ends.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let line = |name: &str| {
                    let mut lines = event.lines();
                    lines.find_map(|line| line.strip_prefix(name).map(str::trim).map(str::to_owned))
                };
                let read = line("event:").zip(line("data:"));
                self.text = rest.to_owned();
                match read {
                    Some((name, data)) => {
                        return Some((name, serde_json::from_str(&data).unwrap()));
                    }
                    None => continue,
                }
            }
            let wait = Duration::from_secs(20);
            let chunk = tokio::time::timeout(wait, self.response.chunk()).await;
            let chunk = chunk.expect("an event comes in time").unwrap()?;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }
}

#[tokio::test]
async fn stock_is_told_at_first_and_as_it_changes() {
    let client = Client::with_sample().await;
    client.set_stock("other", 1).await;
    let mut events = Events::open(
        &client,
        "/events/stock?sku=mug-kiln&sku=lamp-one-off&sku=mug-kiln",
    )
    .await;
    let (name, snapshot) = events.next().await.unwrap();
    assert_eq!(name, "snapshot");
    let skus: Vec<_> = snapshot["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| &item["sku"])
        .collect();
    assert_eq!(skus, ["lamp-one-off", "mug-kiln"]);
    client.set_stock("other", 2).await;
    client.set_stock("mug-kiln", 7).await;
    // What the import has changed may still be on its way.
    loop {
        let (name, changed) = events.next().await.unwrap();
        assert_eq!(name, "stock");
        assert_ne!(changed["sku"], "other");
        if changed["sku"] == "mug-kiln" && changed["available"] == 7 {
            assert_eq!(changed["state"], "in_stock");
            break;
        }
    }
}

/// An idle relay looks at the outbox after pauses that double up to 200 ms. Each change here comes
/// just after such a look, so without being woken the relay would publish it about 180 ms later.
#[tokio::test]
async fn a_change_wakes_the_relay() {
    let client = Client::new().await;
    let sku = stockade_inventory_core::Sku::new("lamp").unwrap();
    let mut watcher = client.shop.live.watch([sku].into()).unwrap();
    let (mut units, mut fastest) = (1, Duration::MAX);
    // The reader may not have its place yet.
    loop {
        client.set_stock("lamp", units).await;
        let heard = tokio::time::timeout(Duration::from_secs(1), watcher.changes()).await;
        if heard.is_ok() {
            break;
        }
        units += 1;
    }
    for more in 1..7 {
        tokio::time::sleep(Duration::from_millis(330)).await;
        client.set_stock("lamp", units + more).await;
        let changed = std::time::Instant::now();
        watcher.changes().await.unwrap();
        fastest = fastest.min(changed.elapsed());
    }
    assert!(fastest < Duration::from_millis(90), "{fastest:?}");
}

#[tokio::test]
async fn a_stream_ends_with_the_shop() {
    let client = Client::with_sample().await;
    let mut events = Events::open(&client, "/events/stock?sku=mug-kiln").await;
    events.next().await.unwrap();
    client.shop.live.end();
    while events.next().await.is_some() {}
}

#[tokio::test]
async fn many_skus_are_answered_at_once_and_too_many_are_refused() {
    let client = Client::with_sample().await;
    let answer = client
        .get("/availability?sku=mug-kiln&sku=nobody-knows")
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    let items = &answer.body["items"];
    assert_eq!(
        (&items[0]["available"], &items[0]["state"]),
        (&json!(60), &json!("in_stock"))
    );
    assert_eq!(
        (&items[1]["sku"], &items[1]["state"]),
        (&json!("nobody-knows"), &json!("not_stocked"))
    );
    for path in ["/availability", "/events/stock"] {
        let many = vec!["sku=a"; 501].join("&");
        for (query, field) in [
            ("", "sku"),
            (many.as_str(), "sku"),
            ("sku=a&skus=b", "skus"),
        ] {
            let answer = client.get(&format!("{path}?{query}")).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}");
            assert_eq!(answer.body["field"], field, "{path}");
        }
    }
}
