//! Whether a service can be sent requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;
use service_kit::{Limits, Readiness, Service, Workers};

use crate::running::{Running, eventually};

async fn service(readiness: &Readiness, workers: Workers) -> Running {
    let service = Service::new(Limits::default(), readiness.clone());
    Running::start(service, workers).await
}

#[tokio::test]
async fn a_service_is_ready_while_its_checks_pass() {
    let readiness = Readiness::new();
    let reached = Arc::new(AtomicBool::new(true));
    let reaches = reached.clone();
    readiness.add_check("database", move || {
        let reached = reaches.load(Ordering::SeqCst);
        async move { if reached { Ok(()) } else { Err("refused") } }
    });
    let service = service(&readiness, Workers::new(&readiness)).await;
    let ready = service.get("/readyz").await;
    assert_eq!(ready.status, 200);
    let passes = json!({"status": "ready", "failed_workers": [],
        "checks": [{"check": "database", "failure": null}]});
    assert_eq!(ready.body, passes);

    reached.store(false, Ordering::SeqCst);
    eventually("it is not ready", || async {
        service.get("/readyz").await.status == 503
    })
    .await;
    let unready = service.get("/readyz").await.body;
    assert_eq!(unready["status"], "not_ready");
    assert_eq!(unready["checks"][0]["failure"], "refused");
    assert_eq!(service.get("/livez").await.status, 204);

    reached.store(true, Ordering::SeqCst);
    eventually("it is ready again", || async {
        service.get("/readyz").await.status == 200
    })
    .await;
}

#[tokio::test]
async fn a_check_that_hangs_fails_in_time_and_is_not_asked_by_each_caller() {
    let readiness = Readiness::new();
    let asked = Arc::new(AtomicUsize::new(0));
    let asks = asked.clone();
    readiness.add_check("database", move || {
        asks.fetch_add(1, Ordering::SeqCst);
        std::future::pending::<Result<(), String>>()
    });
    let service = service(&readiness, Workers::new(&readiness)).await;
    let started = Instant::now();
    let callers = futures::future::join_all((0..20).map(|_| service.get("/readyz"))).await;
    assert!(
        started.elapsed() < Duration::from_secs(5),
        "{:?}",
        started.elapsed()
    );
    for answer in callers {
        assert_eq!(answer.status, 503);
        let failure = answer.body["checks"][0]["failure"].as_str().unwrap();
        assert!(failure.contains("1s"), "{failure}");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_worker_that_fails_is_reported_whatever_the_way() {
    for (name, reason) in [
        ("returns", "it ended by itself"),
        ("errs", "the slot is lost: no such file"),
        ("panics", "it panicked: the sky fell"),
    ] {
        let readiness = Readiness::new();
        let mut workers = Workers::new(&readiness);
        match name {
            "returns" => workers.spawn(name, |_stop| async {}),
            "errs" => workers.spawn(name, |_stop| async {
                let error = std::io::Error::other("no such file");
                Err::<(), _>(anyhow::Error::from(error).context("the slot is lost"))
            }),
            _ => workers.spawn(name, |_stop| async { panic!("the sky fell") as () }),
        }
        workers.spawn("steady", |stop| stop);
        let service = service(&readiness, workers).await;
        eventually("it is not ready", || async {
            service.get("/readyz").await.status == 503
        })
        .await;
        let body = service.get("/readyz").await.body;
        assert_eq!(
            body["failed_workers"],
            json!([{"worker": name, "reason": reason}])
        );
        let metrics = service.get("/metrics").await.text;
        assert!(
            metrics.contains("\nservice_failed_workers 1\n"),
            "{metrics}"
        );
    }
}
