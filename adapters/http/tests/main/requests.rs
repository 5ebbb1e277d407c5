//! What the routes do about requests that are wrong, too large or slow.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use stockade_change_feed::Failure;
use stockade_http::{MAX_BODY_BYTES, MAX_SKUS, SCAN_PATH, STOCK_PATH};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::server::{Fails, Hangs, hasty_routes_over, routes_over, stocked};

/// Sends a request, and returns the status, the head and the body of the answer.
async fn exchange(address: SocketAddr, method: &str, path: &str, body: &str) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // The server may answer before it has read all.
    let _ = stream.write_all(body.as_bytes()).await;
    Answer::read(stream).await
}

struct Answer {
    status: u16,
    head: String,
    body: Value,
}

impl Answer {
    async fn read(mut stream: TcpStream) -> Self {
        let mut text = Vec::new();
        let _ = stream.read_to_end(&mut text).await;
        let text = String::from_utf8(text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").expect("an answer");
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self {
            status,
            head: head.to_lowercase(),
            body: serde_json::from_str(body).unwrap_or_default(),
        }
    }
}

async fn post(address: SocketAddr, path: &str, body: &Value) -> Answer {
    exchange(address, "POST", path, &body.to_string()).await
}

#[tokio::test]
async fn the_answer_has_the_documented_form() {
    let address = routes_over(Arc::new(stocked(&["tee"]).await)).await;
    let request = json!({"v": 1, "skus": ["tee", "nothing"]});
    let answer = post(address, STOCK_PATH, &request).await;
    assert_eq!(answer.status, 200);
    assert!(
        answer.head.contains("cache-control: no-store"),
        "{}",
        answer.head
    );
    assert_eq!(answer.body["v"], 1);
    let level = &answer.body["stock"][0]["levels"][0];
    assert_eq!(
        (&level["location"], &level["physical"]),
        (&json!("main"), &json!(1))
    );
    assert_eq!(answer.body["stock"][1], Value::Null);

    let answer = post(address, SCAN_PATH, &json!({"v": 1, "limit": 10})).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body["stock"][0]["sku"], "tee");
    assert_eq!(answer.body["next"], Value::Null);
}

#[tokio::test]
async fn new_fields_of_requests_are_ignored() {
    let address = routes_over(Arc::new(stocked(&["tee"]).await)).await;
    let request = json!({"v": 1, "skus": ["tee"], "locations": ["main"]});
    assert_eq!(post(address, STOCK_PATH, &request).await.status, 200);
    let request = json!({"v": 1, "limit": 1, "order": {}});
    assert_eq!(post(address, SCAN_PATH, &request).await.status, 200);
}

#[tokio::test]
async fn wrong_requests_are_refused() {
    let address = routes_over(Arc::new(stocked(&["tee"]).await)).await;
    for (path, body, field, phrase) in [
        (
            STOCK_PATH,
            json!("tee"),
            Value::Null,
            "not the expected JSON",
        ),
        (STOCK_PATH, json!({"skus": []}), Value::Null, "`v`"),
        (
            STOCK_PATH,
            json!({"v": 2, "skus": []}),
            json!("v"),
            "newer than 1",
        ),
        (
            STOCK_PATH,
            json!({"v": 1, "skus": [""]}),
            Value::Null,
            "1 to 128 bytes",
        ),
        (
            SCAN_PATH,
            json!({"v": 1, "limit": 0}),
            json!("limit"),
            "at least 1",
        ),
        (
            SCAN_PATH,
            json!({"v": 1, "limit": 1, "after": ""}),
            json!("cursor"),
            "",
        ),
    ] {
        let answer = post(address, path, &body).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.body);
        assert!(
            answer.head.contains("application/problem+json"),
            "{}",
            answer.head
        );
        assert_eq!(answer.body["type"], "urn:stockade:problem:invalid-value");
        assert_eq!(answer.body["field"], field, "{body}: {}", answer.body);
        let detail = answer.body["detail"].as_str().unwrap();
        assert!(detail.contains(phrase), "{body}: {detail}");
    }
    assert_eq!(exchange(address, "GET", STOCK_PATH, "").await.status, 405);
}

#[tokio::test]
async fn a_request_has_a_largest_size() {
    let address = routes_over(Arc::new(stocked(&[]).await)).await;
    let skus = |count: usize| -> Vec<String> {
        // As long as a SKU may be, each of its characters escaped.
        (0..count)
            .map(|n| format!("{n:04}{}", "\"".repeat(124)))
            .collect()
    };
    let answer = post(
        address,
        STOCK_PATH,
        &json!({"v": 1, "skus": skus(MAX_SKUS)}),
    )
    .await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(
        answer.body["stock"].as_array().map(Vec::len),
        Some(MAX_SKUS)
    );

    let answer = post(
        address,
        STOCK_PATH,
        &json!({"v": 1, "skus": skus(MAX_SKUS + 1)}),
    )
    .await;
    assert_eq!(
        (answer.status, &answer.body["field"]),
        (400, &json!("skus"))
    );

    let large = " ".repeat(MAX_BODY_BYTES + 1);
    let answer = exchange(address, "POST", STOCK_PATH, &large).await;
    assert_eq!(answer.status, 413);
}

#[tokio::test]
async fn a_page_has_a_largest_size() {
    let names: Vec<String> = (0..MAX_SKUS + 5).map(|n| format!("sku-{n:05}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let address = routes_over(Arc::new(stocked(&names).await)).await;
    let answer = post(address, SCAN_PATH, &json!({"v": 1, "limit": u64::MAX})).await;
    assert_eq!(
        answer.body["stock"].as_array().map(Vec::len),
        Some(MAX_SKUS)
    );
    let rest = json!({"v": 1, "limit": 50, "after": answer.body["next"]});
    let answer = post(address, SCAN_PATH, &rest).await;
    assert_eq!(answer.body["stock"].as_array().map(Vec::len), Some(5));
}

#[tokio::test]
async fn a_source_that_fails_is_reported_without_its_error() {
    let pause = Duration::from_millis(2_300);
    let busy = Failure::unavailable("stock", pause, "pool of db-7 is empty");
    let lost = Failure::outcome_unknown("stock", "db-7 sent no reply");
    let broken = Failure::refused("stock", "db-7 has no such table");
    for (failure, status, retry_after) in [
        (busy, 503, Some("retry-after: 3")),
        (lost, 503, Some("retry-after: 1")),
        (broken, 500, None),
    ] {
        let address = routes_over(Arc::new(Fails(failure.into()))).await;
        let answer = post(address, STOCK_PATH, &json!({"v": 1, "skus": ["tee"]})).await;
        assert_eq!(answer.status, status, "{}", answer.body);
        assert!(!answer.body.to_string().contains("db-7"), "{}", answer.body);
        match retry_after {
            Some(header) => assert!(answer.head.contains(header), "{}", answer.head),
            None => assert!(!answer.head.contains("retry-after"), "{}", answer.head),
        }
    }
}

#[tokio::test]
async fn a_source_that_hangs_is_given_up() {
    let address = hasty_routes_over(Arc::new(Hangs)).await;
    let answer = post(address, STOCK_PATH, &json!({"v": 1, "skus": ["tee"]})).await;
    assert_eq!(answer.status, 504, "{}", answer.body);
    let answer = post(address, SCAN_PATH, &json!({"v": 1, "limit": 1})).await;
    assert_eq!(answer.status, 504, "{}", answer.body);
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_given_up() {
    let address = hasty_routes_over(Arc::new(stocked(&[]).await)).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST {STOCK_PATH} HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-length: 50\r\n\r\n{{"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(Answer::read(stream).await.status, 504);
}
