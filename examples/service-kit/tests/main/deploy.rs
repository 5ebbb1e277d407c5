//! The files of `deploy` use only metrics that there are.

use std::collections::BTreeSet;

use serde_json::Value;
use service_kit::telemetry;

const ALERTS: &str = include_str!("../../../../deploy/alerts.yaml");
const DASHBOARD: &str = include_str!("../../../../deploy/grafana/stock.json");

fn described() -> BTreeSet<&'static str> {
    let all = [
        telemetry::AVAILABILITY,
        telemetry::CAPTURE,
        telemetry::CATALOG,
        telemetry::FEED,
        telemetry::HTTP,
        telemetry::INVENTORY,
        telemetry::KAFKA,
        telemetry::REDIS,
        telemetry::SEARCH,
        telemetry::SERVICE,
        telemetry::TANTIVY,
    ];
    all.into_iter().flatten().map(|it| it.name).collect()
}

/// The names of metrics in a text.
fn metrics(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| {
            ["stockade_", "service_", "process_"]
                .iter()
                .any(|prefix| word.starts_with(prefix))
        })
        .map(|word| word.strip_suffix("_bucket").unwrap_or(word))
        .collect()
}

#[test]
fn alerts_are_about_metrics_that_exist() {
    let used = metrics(ALERTS);
    assert!(used.len() > 5, "{used:?}");
    let unknown: Vec<_> = used.difference(&described()).copied().collect();
    assert_eq!(unknown, Vec::<&str>::new());
}

#[test]
fn the_dashboard_shows_metrics_that_exist() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    for panel in panels {
        for target in panel["targets"].as_array().unwrap() {
            let expression = target["expr"].as_str().unwrap();
            let used = metrics(expression);
            assert!(!used.is_empty(), "{expression}");
            let unknown: Vec<_> = used.difference(&described()).copied().collect();
            assert_eq!(unknown, Vec::<&str>::new(), "{expression}");
        }
    }
}
