//! How a service stops.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::{get, post};
use service_kit::{Body, Limits, Readiness, ReadinessStatus, Service, Workers};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::running::{Running, first_line};

const HEAD: &str = "POST /body HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n";
const GET: &str = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";

fn routes() -> Router {
    Router::new()
        .route(
            "/body",
            post(|Body(_): Body<serde_json::Value>| async { "read" }),
        )
        .route("/slow", get(std::future::pending::<()>))
}

#[tokio::test]
async fn requests_that_have_begun_finish_and_idle_connections_are_closed() {
    let service = Running::new(routes(), Limits::default()).await;
    let address = service.address.clone();
    let mut idle = service.send(GET).await;
    assert_eq!(first_line(&mut idle).await, "HTTP/1.1 204 No Content");
    let mut begun = service.send(HEAD).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let stopped = service.ask_to_stop();
    assert_eq!(first_line(&mut idle).await, "");
    assert!(TcpStream::connect(&address).await.is_err());
    assert!(!stopped.is_finished());
    begun.write_all(b"{}").await.unwrap();
    assert_eq!(first_line(&mut begun).await, "HTTP/1.1 200 OK");
    stopped.await.unwrap();
}

#[tokio::test]
async fn requests_and_workers_that_do_not_finish_in_time_are_dropped() {
    let mut limits = Limits::default();
    limits.stop_timeout = Duration::from_millis(300);
    let readiness = Readiness::new();
    let mut workers = Workers::new(&readiness);
    let dropped = Arc::new(AtomicBool::new(false));
    let guard = Guard(dropped.clone());
    workers.spawn("stubborn", |_stop| async move {
        let _guard = guard;
        std::future::pending::<()>().await;
    });
    let service = Service::new(limits, readiness.clone()).with_routes(routes());
    let service = Running::start(service, workers).await;
    let mut slow = service.send("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let asked = Instant::now();
    service.ask_to_stop().await.unwrap();
    assert!(
        asked.elapsed() < Duration::from_secs(5),
        "{:?}",
        asked.elapsed()
    );
    assert!(dropped.load(Ordering::SeqCst), "the worker still runs");
    assert_eq!(first_line(&mut slow).await, "");
    assert!(readiness.failed_workers().is_empty());
}

struct Guard(Arc<AtomicBool>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn workers_stop_after_the_last_request_and_finish_what_they_have_begun() {
    let readiness = Readiness::new();
    let mut workers = Workers::new(&readiness);
    let finished = Arc::new(AtomicBool::new(false));
    let (done, stops) = (finished.clone(), finished.clone());
    workers.spawn("careful", |stop| async move {
        stop.await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        done.store(true, Ordering::SeqCst);
    });
    let service = Service::new(Limits::default(), readiness.clone()).with_routes(routes());
    let service = Running::start(service, workers).await;
    let mut begun = service.send(HEAD).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    let stopped = service.ask_to_stop();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(
        !stops.load(Ordering::SeqCst),
        "a request still needs the worker"
    );
    begun.write_all(b"{}").await.unwrap();
    stopped.await.unwrap();
    assert!(finished.load(Ordering::SeqCst));
    assert!(readiness.failed_workers().is_empty());
}

#[tokio::test]
async fn during_the_delay_the_service_answers_and_reports_that_it_stops() {
    let mut limits = Limits::default();
    limits.stop_delay = Duration::from_secs(1);
    let readiness = Readiness::new();
    let service = Service::new(limits, readiness.clone()).with_routes(routes());
    let service = Running::start(service, Workers::new(&readiness)).await;
    let address = service.address.clone();
    let stopped = service.ask_to_stop();
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(readiness.report().await.status, ReadinessStatus::Stopping);
    for (path, line) in [
        ("/livez", "HTTP/1.1 204 No Content"),
        ("/readyz", "HTTP/1.1 503 Service Unavailable"),
    ] {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        assert_eq!(first_line(&mut stream).await, line);
    }
    stopped.await.unwrap();
    assert!(TcpStream::connect(&address).await.is_err());
}
