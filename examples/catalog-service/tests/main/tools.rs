//! Kafka's and Redis's own tools tell the same as the services.

use std::collections::BTreeMap;

use serde_json::Value;
use service_kit::testing::{Process, eventually};
use stack::KafkaTool;

use crate::site::{Site, VARIANTS, from_cache, lamps, page, reserve, sku};

#[tokio::test(flavor = "multi_thread")]
async fn the_tools_of_kafka_and_redis_tell_the_same() {
    let Some(site) = Site::open(None).await else {
        return;
    };
    let inventory = site.inventory();
    let catalog = site.catalog("all", &[]);
    lamps(&catalog, &inventory).await;
    reserve(&inventory, 3).await;
    from_cache(&catalog, &[1, 2, 2]).await;
    let shown: Vec<_> = page(&catalog).await.iter().map(|it| it.available).collect();

    // kafka-consumer-groups: the group has read everything, and so says the metric.
    let (kafka, group) = (site.kafka.clone(), site.name.clone());
    let rows = blocking(move || KafkaTool::describe_group(&kafka, &group)).await;
    assert_eq!(rows.len(), 3, "{rows:?}");
    let member = |row: &BTreeMap<String, String>| row["CONSUMER-ID"] != "-";
    assert!(rows.iter().all(member), "{rows:?}");
    let number = |row: &BTreeMap<String, String>, column: &str| row[column].parse::<u64>().unwrap();
    let lag: u64 = rows.iter().map(|row| number(row, "LAG")).sum();
    // A heartbeat may have been published just now.
    assert!(lag <= 3, "{rows:?}");
    eventually("the metric tells no lag", || lag_is_small(&catalog)).await;

    // A Java consumer reads events whose last says what the page says. Heartbeats come meanwhile: it
    // reads some seconds of them, or those of one partition could take the place of another's events.
    let end: u64 = rows.iter().map(|row| number(row, "LOG-END-OFFSET")).sum();
    let most = (end + 30).to_string();
    let (kafka, topic) = (site.kafka.clone(), site.name.clone());
    let events = blocking(move || {
        let arguments = [
            "--topic",
            &topic,
            "--from-beginning",
            "--max-messages",
            &most,
        ];
        KafkaTool::ConsoleConsumer.run(&kafka, &arguments)
    })
    .await;
    let mut last: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    for event in events
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
    {
        let (Some(sku), Some(count)) = (event["sku"].as_str(), event["new_stock_count"].as_u64())
        else {
            continue;
        };
        let version = event["version"]["number"].as_u64().unwrap();
        let kept = last.entry(sku.to_owned()).or_default();
        *kept = (*kept).max((version, count));
    }
    // redis-cli reads the same units.
    for number in 1..VARIANTS {
        let sku = sku(number);
        let units = site.cached_units(number);
        assert_eq!(units, shown[number - 1], "{sku}");
        assert_eq!(Some(last[&sku].1), units, "{sku}");
    }
    for process in [catalog, inventory] {
        process.stop();
    }
    site.close().await;
}

/// Runs one of Kafka's programs where that may block.
async fn blocking<T: Send + 'static>(
    run: impl FnOnce() -> anyhow::Result<T> + Send + 'static,
) -> T {
    tokio::task::spawn_blocking(run).await.unwrap().unwrap()
}

async fn lag_is_small(catalog: &Process) -> bool {
    let metrics = catalog.get("/metrics").await.1;
    let lag = metrics
        .lines()
        .find(|line| line.starts_with("stockade_feed_lag_records{"))
        .and_then(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
    lag.is_some_and(|lag| lag <= 3.0)
}
