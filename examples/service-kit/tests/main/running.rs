//! A service on a free port, and somebody who uses it.

use std::future::Future;
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::Value;
use service_kit::{Limits, Readiness, Service, Workers};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The longest wait for something that happens by itself.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Running {
    pub(crate) address: String,
    http: reqwest::Client,
    stop: oneshot::Sender<()>,
    pub(crate) serving: JoinHandle<()>,
}

/// What a service answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
    pub(crate) text: String,
}

impl Running {
    /// A service with these routes and limits.
    pub(crate) async fn new(routes: axum::Router, limits: Limits) -> Self {
        let readiness = Readiness::new();
        let service = Service::new(limits, readiness.clone()).with_routes(routes);
        Self::start(service, Workers::new(&readiness)).await
    }

    pub(crate) async fn start(service: Service, workers: Workers) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (stop, stopped) = oneshot::channel();
        let stopped = async { drop(stopped.await) };
        let serving = tokio::spawn(service.run_until(listener, workers, stopped));
        let http = reqwest::Client::builder().timeout(PATIENCE).build();
        Self {
            address,
            http: http.unwrap(),
            stop,
            serving,
        }
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http
            .request(method, format!("http://{}{path}", self.address))
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        answer(self.request(Method::GET, path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        answer(self.request(Method::POST, path).json(body)).await
    }

    /// A connection on which this was sent.
    pub(crate) async fn send(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        stream
    }

    /// Asks the service to stop, and does not wait until it has.
    pub(crate) fn ask_to_stop(self) -> JoinHandle<()> {
        self.stop.send(()).unwrap();
        self.serving
    }
}

pub(crate) async fn answer(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let text = response.text().await.unwrap();
    Answer {
        status,
        headers,
        body: serde_json::from_str(&text).unwrap_or(Value::Null),
        text,
    }
}

/// The first line of what comes on a connection; empty if it is closed.
pub(crate) async fn first_line(stream: &mut TcpStream) -> String {
    let mut received = vec![0; 4096];
    let read = tokio::time::timeout(PATIENCE, stream.read(&mut received));
    // A connection that is dropped may be reset.
    let read = read.await.expect("an answer or an end").unwrap_or(0);
    let text = String::from_utf8_lossy(&received[..read]).into_owned();
    text.lines().next().unwrap_or_default().to_owned()
}

/// Checks that an answer is a problem document of a type.
pub(crate) fn assert_problem(answer: &Answer, status: u16, name: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    assert_eq!(answer.body["status"], status, "{answer:?}");
    let uri = format!("urn:stockade:problem:{name}");
    assert_eq!(answer.body["type"], uri, "{answer:?}");
    assert!(answer.body["title"].is_string(), "{answer:?}");
    assert!(answer.body["detail"].is_string(), "{answer:?}");
}

/// Waits until something holds that comes about by itself.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, holds: impl Fn() -> F) {
    let started = Instant::now();
    while !holds().await {
        assert!(
            started.elapsed() < PATIENCE,
            "it did not happen that {what}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
