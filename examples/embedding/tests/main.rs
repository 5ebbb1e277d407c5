//! The service of the document, over HTTP.

#![allow(clippy::unwrap_used)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use stockade_change_feed::SystemClock;
use stockade_change_feed::memory::MemoryFeed;
use stockade_inventory_core::memory::MemoryInventory;
use stockade_inventory_core::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Status and body of an answer.
async fn ask(at: SocketAddr, request: &str, key: &str, body: &str) -> (u16, String) {
    let length = body.len();
    let key = match key {
        "" => String::new(),
        key => format!("Idempotency-Key: {key}\r\n"),
    };
    let text = format!(
        "{request} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n{key}\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    let mut stream = TcpStream::connect(at).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    (status, body.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lamp_is_reserved_once_and_paid() {
    let store = MemoryInventory::new(Arc::new(SystemClock::new()));
    let received = StockChange::Receive(Quantity::ONE);
    let (operation, reason) = (OperationId::new("d").unwrap(), Reason::new("new").unwrap());
    let lamp = Sku::new("lamp").unwrap();
    store
        .adjust(&[Adjustment::new(operation, lamp.clone(), received, reason)])
        .await
        .remove(0)
        .unwrap();

    let log = Arc::new(MemoryFeed::new(Arc::new(SystemClock::new())));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let (stop, stopped) = watch::channel(false);
    let serving = tokio::spawn(embedding::serve(listener, store.clone(), log, stopped));

    assert_eq!(ask(at, "GET /", "", "").await, (200, "lamps".to_owned()));
    assert_eq!(
        ask(at, "GET /shop/stock/lamp", "", "").await,
        (200, "1".to_owned())
    );
    assert_eq!(ask(at, "GET /shop/stock/cup", "", "").await.0, 404);

    let wish = r#"["ada",[{"sku":"lamp","quantity":1}]]"#;
    let reserve = "POST /shop/reservations";
    let first = ask(at, reserve, "cart-1", wish).await;
    assert_eq!(first.0, 200);
    assert_eq!(
        ask(at, reserve, "cart-1", wish).await,
        first,
        "the same key, the same grant"
    );
    let two = wish.replace(":1}", ":2}");
    assert_eq!(ask(at, reserve, "cart-1", &two).await.0, 422);
    assert_eq!(ask(at, reserve, "cart-2", wish).await.0, 409);
    assert_eq!(ask(at, reserve, "", wish).await.0, 400);
    assert_eq!(ask(at, reserve, "cart-3", r#"["ada",[]]"#).await.0, 400);

    let id = ReservationId::derived(&OwnerId::new("ada").unwrap(), "cart-1");
    let confirm = format!("POST /shop/reservations/{id}/confirm");
    assert_eq!(ask(at, &confirm, "", "").await.0, 200);
    assert_eq!(
        ask(at, &confirm, "", "").await.0,
        200,
        "confirming again is harmless"
    );
    assert_eq!(
        ask(at, "POST /shop/reservations/nobody/confirm", "", "")
            .await
            .0,
        404
    );

    // The relay has told the log, so nothing is left to be published.
    while !store.unpublished(None, 9).await.unwrap().changes.is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stop.send(true).unwrap();
    serving.await.unwrap().unwrap();
}

/// What a reader copies is what is tested.
#[test]
fn the_document_shows_this_source() {
    let document = include_str!("../../../docs/embedding.md");
    for source in [include_str!("../src/inventory.rs"), workers()] {
        let source = source.trim();
        let dedented = source
            .lines()
            .map(|line| line.strip_prefix("    ").unwrap_or(line));
        let dedented = dedented.collect::<Vec<_>>().join("\n");
        assert!(
            document.contains(source) || document.contains(&dedented),
            "docs/embedding.md differs from:\n{source}"
        );
    }
}

/// The part of the service's source that starts what works beside it.
fn workers() -> &'static str {
    let source = include_str!("../src/lib.rs");
    let from = source.find("    let store = Arc::new(store);").unwrap();
    let to = source.find("    let router").unwrap();
    &source[from..to]
}
