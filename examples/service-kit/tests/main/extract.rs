//! Reading requests.

use axum::routing::{get, post};
use axum::{Json, Router};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use service_kit::{Body, Headers, IdempotencyKey, Limits, Problem, Query, Segment};

use crate::running::{Running, answer, assert_problem};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    #[serde(default)]
    lines: Vec<Line>,
    owner: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    quantity: u32,
}

async fn order(Body(order): Body<Order>) -> Json<Value> {
    let units: u32 = order.lines.iter().map(|line| line.quantity).sum();
    Json(json!({"units": units, "owner": order.owner}))
}

async fn list(query: Query) -> Result<Json<Value>, Problem> {
    let query = query.only(&["after", "limit"], &["tag"])?;
    let limit = query.number_within("limit", 1..=100)?;
    let tags: Vec<_> = query.all("tag").collect();
    Ok(Json(
        json!({"after": query.get("after"), "limit": limit, "tags": tags}),
    ))
}

async fn key(
    headers: Headers,
    IdempotencyKey(key): IdempotencyKey,
) -> Result<Json<Value>, Problem> {
    let tenant = headers.text("Tenant", 1..=8)?;
    Ok(Json(json!({"key": key, "tenant": tenant})))
}

async fn service() -> Running {
    let routes = Router::new()
        .route("/orders", post(order).get(list))
        .route("/keys", post(key))
        .route(
            "/orders/{id}/lines",
            get(|Segment(id): Segment| async move { Json(json!(id)) }),
        );
    let mut limits = Limits::default();
    limits.max_body_bytes = 1000;
    Running::new(routes, limits).await
}

#[tokio::test]
async fn a_body_is_read() {
    let service = service().await;
    let body = json!({"lines": [{"quantity": 2}, {"quantity": 3}], "owner": "ada"});
    let read = service.post("/orders", &body).await;
    assert_eq!(read.body, json!({"units": 5, "owner": "ada"}));
    let absent = answer(service.request(Method::POST, "/orders")).await;
    assert_eq!(absent.body, json!({"units": 0, "owner": null}));
}

#[tokio::test]
async fn what_is_wrong_in_a_body_is_named() {
    let service = service().await;
    for (body, field) in [
        (r#"{"lines":[{"quantity":-1}]}"#, "lines[0].quantity"),
        (r#"{"lines":[{}]}"#, "lines[0].quantity"),
        (
            r#"{"lines":[{"quantity":1,"color":"red"}]}"#,
            "lines[0].color",
        ),
        (r#"{"ower":"ada"}"#, "ower"),
        (r#"{"owner":"ada"#, "owner"),
        (r#"{"owner":"ada","owner":"ben"}"#, "body"),
        (r#"[[],"ada"]"#, "body"),
        (r#""ada""#, "body"),
        (r#"{} {}"#, "body"),
        ("\u{feff}{}", "body"),
    ] {
        let request = service.request(Method::POST, "/orders");
        let request = request
            .header("Content-Type", "application/json")
            .body(body);
        let refused = answer(request).await;
        assert_problem(&refused, 400, "invalid-value");
        let named = refused.body["field"].as_str().unwrap();
        assert!(named.starts_with(field), "{body}: {refused:?}");
    }
}

#[tokio::test]
async fn a_body_of_another_type_or_over_the_limit_is_refused() {
    let service = service().await;
    let request = service.request(Method::POST, "/orders");
    let refused = answer(request.header("Content-Type", "text/xml").body("<a/>")).await;
    assert_problem(&refused, 415, "unsupported-media-type");
    let owner = |length| json!({"owner": "x".repeat(length)});
    let refused = service.post("/orders", &owner(1000)).await;
    assert_problem(&refused, 413, "body-too-large");
    assert_eq!(service.post("/orders", &owner(900)).await.status, 200);
    for content_type in [
        "application/json; charset=utf-8",
        "application/vnd.shop+json",
    ] {
        let request = service.request(Method::POST, "/orders");
        let read = answer(request.header("Content-Type", content_type).body("{}")).await;
        assert_eq!(read.status, 200, "{read:?}");
    }
}

#[tokio::test]
async fn parameters_are_read_and_those_that_are_wrong_are_named() {
    let service = service().await;
    let read = service
        .get("/orders?tag=a&after=%C3%A4&tag=b&limit=7")
        .await;
    assert_eq!(
        read.body,
        json!({"after": "ä", "limit": 7, "tags": ["a", "b"]})
    );
    let empty = service.get("/orders?limit=&after=").await;
    assert_eq!(
        empty.body,
        json!({"after": null, "limit": null, "tags": []})
    );
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=-1", "limit"),
        ("limit=x", "limit"),
        ("limit=1&limit=2", "limit"),
        ("limitt=1", "limitt"),
    ] {
        let refused = service.get(&format!("/orders?{query}")).await;
        assert_problem(&refused, 400, "invalid-value");
        assert_eq!(refused.body["field"], field, "{query}");
    }
}

#[tokio::test]
async fn headers_are_read_and_those_that_are_wrong_are_named() {
    let service = service().await;
    let request = || service.request(Method::POST, "/keys");
    let read = answer(request().header("Idempotency-Key", "cart-1")).await;
    assert_eq!(read.body, json!({"key": "cart-1", "tenant": null}));
    let long = "x".repeat(256);
    let twice = request()
        .header("Idempotency-Key", "a")
        .header("Idempotency-Key", "b");
    for (request, field) in [
        (twice, "Idempotency-Key"),
        (request().header("Idempotency-Key", ""), "Idempotency-Key"),
        (request().header("Idempotency-Key", long), "Idempotency-Key"),
        (request().header("Tenant", "123456789"), "Tenant"),
        (request().header("Tenant", b"\xff".as_slice()), "Tenant"),
    ] {
        let refused = answer(request).await;
        assert_problem(&refused, 400, "invalid-value");
        assert_eq!(refused.body["field"], field, "{refused:?}");
    }
}

#[tokio::test]
async fn a_segment_is_decoded_and_named_if_it_is_not_text() {
    let service = service().await;
    assert_eq!(service.get("/orders/a%2Fb/lines").await.body, "a/b");
    let refused = service.get("/orders/%ff/lines").await;
    assert_problem(&refused, 400, "invalid-value");
    assert_eq!(refused.body["field"], "id");
}
