//! A shop of its own for each test, and somebody who uses it.

use std::future::Future;
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::Value;
use service_kit::{Limits, Service};
use storefront::{Faults, Options, Progress, Report, Shop};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The longest wait for something that happens by itself.
const PATIENCE: Duration = Duration::from_secs(20);

/// How many products the sample catalogue has.
pub(crate) const SAMPLE_SIZE: usize = 244;

pub(crate) struct Client {
    base: String,
    http: reqwest::Client,
    pub(crate) shop: std::sync::Arc<Shop>,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

/// What the shop answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
}

impl Client {
    /// An empty shop.
    pub(crate) async fn new() -> Self {
        Self::with(Options::default()).await
    }

    pub(crate) async fn with(options: Options) -> Self {
        Self::within(Limits::default(), options).await
    }

    pub(crate) async fn within(limits: Limits, options: Options) -> Self {
        let (shop, workers) = Shop::start(options).await.unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let service = Service::new(limits, shop.readiness().clone());
        let service = storefront::service(service, shop.clone(), Faults::Allowed);
        let (stop, stopped) = oneshot::channel();
        let stopped = async { drop(stopped.await) };
        let serving = tokio::spawn(service.run_until(listener, workers, stopped));
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(60))
            .build()
            .unwrap();
        Self {
            base,
            http,
            shop,
            stop,
            serving,
        }
    }

    /// Ends the shop as a process does.
    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        drop(self.http);
        self.serving.await.unwrap();
    }

    /// A shop with the sample catalogue.
    pub(crate) async fn with_sample() -> Self {
        let client = Self::new().await;
        let report = client.import(sample_catalogue::SAMPLE).await;
        assert!(report.failures.is_empty(), "{:?}", report.failures);
        client
    }

    pub(crate) async fn import(&self, lines: &str) -> Report {
        let lines = std::io::Cursor::new(lines.as_bytes());
        storefront::import(&self.shop, lines, &mut Progress::hidden())
            .await
            .unwrap()
    }

    pub(crate) fn address(&self) -> &str {
        self.base.trim_start_matches("http://")
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        answer(self.request(Method::GET, path)).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        answer(self.request(Method::PUT, path).json(body)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        answer(self.request(Method::POST, path).json(body)).await
    }

    pub(crate) async fn set_stock(&self, sku: &str, units: u64) {
        let body = serde_json::json!({
            "sku": sku, "set": units, "reason": "test", "operation_id": format!("set-{sku}-{units}"),
        });
        let answer = self.post("/stock", &body).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    }

    pub(crate) async fn search(&self, params: &[(&str, &str)]) -> Value {
        let answer = answer(self.request(Method::GET, "/search").query(params)).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        answer.body
    }

    /// The ids of the hits, in order.
    pub(crate) async fn found(&self, params: &[(&str, &str)]) -> Vec<String> {
        let page = self.search(params).await;
        let ids = page["hits"]
            .as_array()
            .unwrap()
            .iter()
            .map(|hit| hit["id"].as_str().unwrap());
        ids.map(str::to_owned).collect()
    }
}

pub(crate) async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let bytes = response.bytes().await.unwrap();
    let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
    Answer {
        status,
        headers,
        body,
    }
}

/// Waits until something holds that comes about by itself, and fails with what it waited for.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, holds: impl Fn() -> F) {
    let started = Instant::now();
    while !holds().await {
        assert!(
            started.elapsed() < PATIENCE,
            "it never came about that {what}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The sum of a SKU's movements, and its counts: they are the same if the ledger adds up.
pub(crate) async fn ledger(client: &Client, sku: &str) -> [(i64, i64); 2] {
    let (mut physical, mut reserved, mut after) = (0, 0, String::new());
    loop {
        let page = client
            .get(&format!("/stock/{sku}/movements?limit=100{after}"))
            .await
            .body;
        for movement in page["movements"].as_array().unwrap() {
            physical += movement["physical"].as_i64().unwrap();
            reserved += movement["reserved"].as_i64().unwrap();
        }
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    let stock = client.get(&format!("/stock/{sku}")).await.body;
    let count = |name: &str| stock[name].as_i64().unwrap();
    [(physical, reserved), (count("physical"), count("reserved"))]
}
