//! What Prometheus reads.

use std::collections::BTreeSet;
use std::path::PathBuf;

use axum::Router;
use axum::routing::get;
use service_kit::telemetry::{self, Description};
use service_kit::{Limits, Readiness, Service, Workers};

use crate::running::Running;

const STOCKADE: [&[Description]; 10] = [
    telemetry::FEED,
    telemetry::INVENTORY,
    telemetry::CATALOG,
    telemetry::AVAILABILITY,
    telemetry::SEARCH,
    telemetry::TANTIVY,
    telemetry::CAPTURE,
    telemetry::HTTP,
    telemetry::KAFKA,
    telemetry::REDIS,
];

#[tokio::test]
async fn requests_are_counted_by_route_and_gauges_are_set() {
    for group in STOCKADE {
        telemetry::describe(group);
    }
    let readiness = Readiness::new();
    let routes = Router::new().route("/counted/{id}", get(|| async {}));
    let service = Service::new(Limits::default(), readiness.clone())
        .with_routes(routes)
        .with_gauges(17.0, |depth| async move {
            metrics::gauge!("hello_depth").set(depth);
        });
    let service = Running::start(service, Workers::new(&readiness)).await;
    service.get("/counted/private-id").await;
    service.get("/counted/private-id").await;
    service.get("/private-path").await;
    let invented = reqwest::Method::from_bytes(b"PRIVATE").unwrap();
    let invented = service.request(invented, "/counted/1").send().await;
    assert_eq!(invented.unwrap().status(), 405);
    let text = service.get("/metrics").await.text;
    for line in [
        "service_http_requests_total{method=\"GET\",route=\"/counted/{id}\",status=\"200\"} 2",
        "service_http_requests_total{method=\"GET\",route=\"none\",status=\"404\"}",
        "service_http_requests_total{method=\"other\",route=\"/counted/{id}\",status=\"405\"} 1",
        "service_http_request_seconds_count{method=\"GET\",route=\"/counted/{id}\"} 2",
        "service_http_request_seconds_bucket{method=\"GET\",route=\"/counted/{id}\",le=\"+Inf\"} 2",
        "# TYPE service_http_request_seconds histogram",
        "# HELP service_http_requests_total HTTP requests by method, route and status",
        "process_resident_memory_bytes ",
        "stockade_inventory_published_total 0",
        "hello_depth 17",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    assert!(!text.to_lowercase().contains("private"), "{text}");
}

/// The names of metrics in the sources of the crates.
fn named_in_sources() -> BTreeSet<String> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let crates = [
        "change-feed",
        "inventory-core",
        "catalog-core",
        "search-sync",
    ];
    let mut folders: Vec<_> = crates.map(|name| root.join(name).join("src")).to_vec();
    folders.push(root.join("adapters"));
    let mut names = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let source = std::fs::read_to_string(path).unwrap();
                let quoted = source.split('"').filter(|text| {
                    let units = ["_total", "_seconds", "_bytes"];
                    text.starts_with("stockade_") && units.iter().any(|unit| text.ends_with(unit))
                });
                names.extend(quoted.map(str::to_owned));
            }
        }
    }
    names
}

#[test]
fn the_metrics_of_all_crates_are_described_once() {
    let described: Vec<_> = STOCKADE.iter().flat_map(|group| group.iter()).collect();
    let names: BTreeSet<_> = described.iter().map(|one| one.name).collect();
    assert_eq!(names.len(), described.len());
    let in_sources = named_in_sources();
    assert!(in_sources.len() > 20, "{in_sources:?}");
    for name in &in_sources {
        assert!(names.contains(name.as_str()), "{name} is described nowhere");
    }
    for Description { name, help, .. } in described {
        assert!(!help.ends_with('.'), "{name}");
    }
}
