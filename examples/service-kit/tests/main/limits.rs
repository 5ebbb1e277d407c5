//! What is bounded, and what is answered when something goes wrong.

use std::time::Duration;

use axum::Router;
use axum::routing::{get, post};
use service_kit::{Body, Limits};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::running::{Running, answer, assert_problem, eventually, first_line};

const SOON: Duration = Duration::from_millis(300);
/// A body of which a part is missing.
const UNFINISHED: &str = "POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{";

async fn with(change: impl FnOnce(&mut Limits)) -> Running {
    let mut limits = Limits::default();
    change(&mut limits);
    let routes = Router::new()
        .route("/", get(|| async { "here" }))
        .route("/body", post(|Body(_): Body<serde_json::Value>| async {}))
        .route("/slow", get(std::future::pending::<()>))
        .route("/panic", get(|| async { panic!("a secret") as () }));
    Running::new(routes, limits).await
}

#[tokio::test]
async fn requests_over_the_limit_are_refused_and_operators_are_not() {
    let service = with(|limits| limits.max_requests = 2).await;
    let taken = [
        service.send(UNFINISHED).await,
        service.send(UNFINISHED).await,
    ];
    eventually("all places are taken", || async {
        service.get("/").await.status == 503
    })
    .await;
    let refused = service.get("/").await;
    assert_problem(&refused, 503, "overloaded");
    assert_eq!(refused.headers["retry-after"], "1");
    for path in ["/livez", "/readyz", "/metrics", "/openapi.json"] {
        assert!(service.get(path).await.status.is_success(), "{path}");
    }
    drop(taken);
    eventually("places are free", || async {
        service.get("/").await.status == 200
    })
    .await;
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_answered() {
    let service = with(|limits| limits.request_timeout = SOON).await;
    assert_problem(&service.get("/slow").await, 504, "request-timeout");
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_not_waited_for() {
    let service = with(|limits| limits.body_timeout = SOON).await;
    let mut stream = service.send(UNFINISHED).await;
    assert_eq!(
        first_line(&mut stream).await,
        "HTTP/1.1 408 Request Timeout"
    );
}

#[tokio::test]
async fn idle_connections_and_slow_heads_are_closed() {
    let service = with(|limits| limits.header_timeout = SOON).await;
    let mut kept = service.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
    assert_eq!(first_line(&mut kept).await, "HTTP/1.1 200 OK");
    let idle = service.send("").await;
    let slow = service.send("GET / HTTP/1.1\r\nHost: ").await;
    for mut stream in [kept, idle, slow] {
        let line = first_line(&mut stream).await;
        assert!(line.is_empty() || line.contains("408"), "{line}");
    }
}

#[tokio::test]
async fn connections_over_the_limit_wait() {
    let service = with(|limits| limits.max_connections = 1).await;
    let request = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut first = service.send(request).await;
    assert_eq!(first_line(&mut first).await, "HTTP/1.1 200 OK");
    let mut second: TcpStream = service.send(request).await;
    let waiting = tokio::time::timeout(SOON, first_line(&mut second)).await;
    assert!(waiting.is_err(), "{waiting:?}");
    first.shutdown().await.unwrap();
    drop(first);
    assert_eq!(first_line(&mut second).await, "HTTP/1.1 200 OK");
}

#[tokio::test]
async fn a_panic_an_unknown_path_and_an_unknown_method_are_problems() {
    let service = with(|_| ()).await;
    let panicked = service.get("/panic").await;
    assert_problem(&panicked, 500, "internal");
    assert!(!panicked.text.contains("secret"), "{panicked:?}");
    assert_problem(&service.get("/nowhere").await, 404, "not-found");
    let request = service.request(reqwest::Method::PUT, "/body");
    let refused = answer(request).await;
    assert_problem(&refused, 405, "method-not-allowed");
    assert_eq!(refused.headers["allow"], "POST");
}
