//! Servers that the tests run: the routes, and scripts that break rules.

use std::future::Future;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use stockade_change_feed::SystemClock;
use stockade_http::{HttpOptions, HttpStockSource, StockRoutes, stock_routes};
use stockade_inventory_core::memory::MemoryInventory;
use stockade_inventory_core::{
    Adjustment, Cursor, InventoryError, InventoryStore, OperationId, Quantity, Reason,
    ReservationId, Sku, SkuStock, StockChange, StockPage, StockSource,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub(crate) fn sku(text: &str) -> Sku {
    Sku::new(text).unwrap()
}

pub(crate) async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Serves a router until the runtime of the test ends.
pub(crate) fn serve(listener: TcpListener, routes: axum::Router) {
    tokio::spawn(async move { axum::serve(listener, routes).await });
}

/// The routes over this source.
pub(crate) async fn routes_over(source: Arc<dyn StockSource>) -> SocketAddr {
    let (listener, address) = listen().await;
    serve(listener, stock_routes(source));
    address
}

/// The routes over this source, with a deadline of 300 ms.
pub(crate) async fn hasty_routes_over(source: Arc<dyn StockSource>) -> SocketAddr {
    let (listener, address) = listen().await;
    let routes = StockRoutes::new(source).with_timeout(Duration::from_millis(300));
    serve(listener, routes.router());
    address
}

/// A store with one unit of each SKU.
pub(crate) async fn stocked(skus: &[&str]) -> MemoryInventory {
    let store = MemoryInventory::new(Arc::new(SystemClock::new()));
    let adjustments: Vec<_> = skus.iter().map(|sku| receive_one(sku)).collect();
    for outcome in store.adjust(&adjustments).await.unwrap() {
        outcome.unwrap();
    }
    store
}

fn receive_one(of: &str) -> Adjustment {
    let operation = OperationId::new(ReservationId::random().as_str()).unwrap();
    let change = StockChange::Receive(Quantity::ONE);
    Adjustment::new(operation, sku(of), change, Reason::new("delivery").unwrap())
}

pub(crate) fn options(address: SocketAddr) -> HttpOptions {
    HttpOptions::new(&format!("http://{address}")).unwrap()
}

pub(crate) fn client(address: SocketAddr) -> HttpStockSource {
    HttpStockSource::new(options(address)).unwrap()
}

/// A client whose calls end after 300 ms.
pub(crate) fn hasty(address: SocketAddr) -> HttpStockSource {
    let options = options(address).with_timeout(Duration::from_millis(300));
    HttpStockSource::new(options).unwrap()
}

/// Accepts connections, and runs this script on each, with the number of connections before it.
pub(crate) async fn scripted<F, R>(script: F) -> SocketAddr
where
    F: Fn(TcpStream, usize) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        for number in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(script(stream, number));
        }
    });
    address
}

/// Answers each request of each connection with this text.
pub(crate) async fn answering(answer: String) -> SocketAddr {
    scripted(move |mut stream, _| {
        let answer = answer.clone();
        async move {
            while request(&mut stream).await.is_some() {
                if stream.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
            }
        }
    })
    .await
}

/// An answer with a body of JSON.
pub(crate) fn json(status: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

/// Reads a request with its body, and returns its text. None at the end of the connection.
pub(crate) async fn request(stream: &mut TcpStream) -> Option<String> {
    let mut read = Vec::new();
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let text = String::from_utf8_lossy(&read);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.to_lowercase();
            let length = length.split("content-length: ").nth(1).unwrap_or("0");
            let length: usize = length.lines().next().unwrap().trim().parse().unwrap();
            if body.len() >= length {
                return Some(text.into_owned());
            }
        }
        match stream.read(&mut buffer).await {
            Ok(bytes) if bytes > 0 => read.extend_from_slice(&buffer[..bytes]),
            _ => return None,
        }
    }
}

/// A source that fails.
pub(crate) struct Fails(pub(crate) InventoryError);

#[async_trait]
impl StockSource for Fails {
    async fn stock(&self, _: &[Sku]) -> Result<Vec<Option<SkuStock>>, InventoryError> {
        Err(self.0.clone())
    }

    async fn scan(&self, _: Option<&Cursor>, _: NonZeroUsize) -> Result<StockPage, InventoryError> {
        Err(self.0.clone())
    }
}

/// A source that does not answer.
pub(crate) struct Hangs;

#[async_trait]
impl StockSource for Hangs {
    async fn stock(&self, _: &[Sku]) -> Result<Vec<Option<SkuStock>>, InventoryError> {
        std::future::pending().await
    }

    async fn scan(&self, _: Option<&Cursor>, _: NonZeroUsize) -> Result<StockPage, InventoryError> {
        std::future::pending().await
    }
}
