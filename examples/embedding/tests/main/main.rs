//! The service of the document, over HTTP.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests")]

mod document;
mod memory;
mod orders;

use std::net::SocketAddr;

use axum::Router;
use stockade_inventory_core::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Somebody who uses the service.
struct Customer {
    at: SocketAddr,
    name: &'static str,
}

impl Customer {
    /// Status and body of an answer.
    async fn ask(&self, request: &str, key: &str, body: &str) -> (u16, String) {
        let header = |name: &str, value: &str| match value {
            "" => String::new(),
            value => format!("{name}{value}\r\n"),
        };
        let who = header("Authorization: Bearer ", self.name);
        let key = header("Idempotency-Key: ", key);
        let length = body.len();
        let text = format!(
            "{request} HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n{who}{key}\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        let mut stream = TcpStream::connect(self.at).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        (status, body.to_owned())
    }

    /// Only the status.
    async fn status(&self, request: &str, key: &str, body: &str) -> u16 {
        self.ask(request, key, body).await.0
    }

    /// The reservation that this customer's request with this key stands for.
    fn id(&self, key: &str) -> ReservationId {
        ReservationId::derived(&OwnerId::new(self.name).unwrap(), key)
    }
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    (listener, at)
}

/// Serves until the test ends.
async fn serve(router: Router) -> SocketAddr {
    let (listener, at) = listen().await;
    tokio::spawn(async move { axum::serve(listener, router).await });
    at
}

async fn receive_a_lamp(store: &dyn InventoryStore) {
    let (operation, reason) = (OperationId::new("d").unwrap(), Reason::new("new").unwrap());
    let (lamp, one) = (
        Sku::new("lamp").unwrap(),
        StockChange::Receive(Quantity::ONE),
    );
    let delivery = Adjustment::new(operation, lamp, one, reason);
    store.adjust(&[delivery]).await.unwrap().remove(0).unwrap();
}

const A_LAMP: &str = r#"[{"sku":"lamp","quantity":1}]"#;
