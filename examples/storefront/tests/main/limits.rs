//! What is bounded: time, places and sizes.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::json;
use service_kit::{Limits, Service};
use storefront::{Faults, Options};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::client::{Client, eventually};

async fn with(change: impl FnOnce(&mut Limits)) -> Client {
    let mut limits = Limits::default();
    change(&mut limits);
    Client::within(limits, Options::default()).await
}

/// A request whose body is said to be longer than what comes of it.
async fn unfinished(client: &Client) -> TcpStream {
    let mut stream = TcpStream::connect(client.address()).await.unwrap();
    let head = "POST /reserve HTTP/1.1\r\nHost: shop\r\nContent-Length: 100\r\n\r\n{\"lines\"";
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

async fn first_line(stream: &mut TcpStream) -> String {
    let mut answer = vec![0; 4096];
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read(&mut answer));
    let read = read.await.expect("an answer or an end").unwrap();
    let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
    answer.lines().next().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_not_waited_for() {
    let client = with(|limits| limits.body_timeout = Duration::from_millis(300)).await;
    let mut stream = unfinished(&client).await;
    assert_eq!(
        first_line(&mut stream).await,
        "HTTP/1.1 408 Request Timeout"
    );
}

#[tokio::test]
async fn health_and_metrics_answer_while_all_places_are_taken() {
    let client = with(|limits| limits.max_requests = 2).await;
    let taken = [unfinished(&client).await, unfinished(&client).await];
    eventually("all places are taken", || async {
        client.get("/stock/x").await.status == StatusCode::SERVICE_UNAVAILABLE
    })
    .await;
    let busy = client.get("/stock/x").await;
    assert_eq!(busy.headers["retry-after"], "1");
    assert_eq!(client.get("/healthz").await.status, StatusCode::OK);
    assert_eq!(client.get("/metrics").await.status, StatusCode::OK);
    drop(taken);
    eventually("the places are free again", || async {
        client.get("/stock/x").await.status == StatusCode::NOT_FOUND
    })
    .await;
}

#[tokio::test]
async fn idle_connections_and_slow_heads_are_closed() {
    let client = with(|limits| limits.header_timeout = Duration::from_millis(300)).await;
    let mut idle = TcpStream::connect(client.address()).await.unwrap();
    let mut slow = TcpStream::connect(client.address()).await.unwrap();
    slow.write_all(b"GET /healthz HTTP/1.1\r\nHost: sh")
        .await
        .unwrap();
    let mut kept = TcpStream::connect(client.address()).await.unwrap();
    kept.write_all(b"GET /healthz HTTP/1.1\r\nHost: shop\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(first_line(&mut kept).await, "HTTP/1.1 200 OK");
    for (what, stream) in [
        ("idle", &mut idle),
        ("slow", &mut slow),
        ("kept", &mut kept),
    ] {
        let line = first_line(stream).await;
        assert!(line.is_empty() || line.contains("408"), "{what}: {line}");
    }
}

#[tokio::test]
async fn a_listing_of_large_products_is_cut_and_goes_on() {
    let client = Client::new().await;
    client.put("/product-types/thing", &json!({})).await;
    let products = 60;
    for number in 0..products {
        let variant = |variant| {
            json!({
                "sku": format!("p-{number:02}-{variant}"),
                "attributes": {"text": "x".repeat(8_000)},
            })
        };
        let variants: Vec<_> = (0..25).map(variant).collect();
        let body = json!({"title": "Large", "product_type": "thing", "variants": variants});
        let answer = client.put(&format!("/products/p-{number:02}"), &body).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
    }
    let (mut seen, mut pages, mut after) = (0, 0, String::new());
    loop {
        let page = client
            .get(&format!("/products?limit=100{after}"))
            .await
            .body;
        // The bound, and what was read beyond it.
        assert!(page.to_string().len() < (4 << 20) + 24 * 210_000);
        seen += page["products"].as_array().unwrap().len();
        pages += 1;
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    assert_eq!(seen, products);
    assert!(pages > 1);
}

#[tokio::test]
async fn a_shop_that_is_asked_to_end_finishes_what_has_begun() {
    let client = Client::new().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let service = Service::new(Limits::default(), client.shop.readiness().clone());
    let router = storefront::service(service, client.shop.clone(), Faults::Refused).router();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(service_kit::serve(
        listener,
        router,
        Limits::default(),
        async { drop(stopped.await) },
    ));
    let body = b"{\"lines\":[{\"sku\":\"x\",\"quantity\":1}],\"owner\":\"ada\"}";
    let head = format!(
        "POST /reserve HTTP/1.1\r\nHost: shop\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: shop\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(first_line(&mut idle).await, "HTTP/1.1 200 OK");
    stop.send(()).unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let asked = Instant::now();
    stream.write_all(body).await.unwrap();
    assert_eq!(
        first_line(&mut stream).await,
        "HTTP/1.1 422 Unprocessable Entity"
    );
    serving.await.unwrap();
    assert!(
        asked.elapsed() < Duration::from_secs(8),
        "idle ones are not waited for"
    );
    assert!(TcpStream::connect(address).await.is_err());
}
