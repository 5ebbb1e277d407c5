//! Kafka's and Redis's own tools tell the same as the services.

use std::collections::BTreeMap;

use serde_json::Value;
use service_kit::testing::{Process, eventually};
use stack::KafkaTool;

use crate::site::{Site, VARIANTS, lamps, page, reserve, shows, sku};

#[tokio::test(flavor = "multi_thread")]
async fn the_tools_of_kafka_and_redis_tell_the_same() {
    let name = "the_tools_of_kafka_and_redis_tell_the_same";
    let Some(site) = Site::open(name, None).await else {
        return;
    };
    let inventory = site.inventory();
    let catalog = site.catalog("all", &[]);
    lamps(&catalog, &inventory).await;
    reserve(&inventory, 3).await;
    eventually("the page is from the cache", || async {
        shows(&catalog, "cache", &[1, 2, 2]).await
    })
    .await;
    let shown: Vec<_> = page(&catalog).await.iter().map(|it| it.available).collect();

    // kafka-consumer-groups: the group has read everything, and so says the metric.
    let described = run(
        &site,
        KafkaTool::ConsumerGroups,
        &["--describe", "--group", &site.name],
    )
    .await;
    let rows = rows(&described);
    assert_eq!(rows.len(), 3, "{described}");
    let member = |row: &BTreeMap<String, String>| row["CONSUMER-ID"] != "-";
    assert!(rows.iter().all(member), "{described}");
    let number = |row: &BTreeMap<String, String>, column: &str| row[column].parse::<u64>().unwrap();
    let lag: u64 = rows.iter().map(|row| number(row, "LAG")).sum();
    // A heartbeat may have been published just now.
    assert!(lag <= 3, "{described}");
    eventually("the metric tells no lag", || lag_is_small(&catalog)).await;

    // A Java consumer reads events whose last says what the page says. Heartbeats come meanwhile: it
    // reads some seconds of them, or those of one partition could take the place of another's events.
    let end: u64 = rows.iter().map(|row| number(row, "LOG-END-OFFSET")).sum();
    let most = (end + 30).to_string();
    let events = run(
        &site,
        KafkaTool::ConsoleConsumer,
        &[
            "--topic",
            &site.name,
            "--from-beginning",
            "--max-messages",
            &most,
        ],
    )
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
        let stored = site
            .redis
            .cli(&["HGET", "availability:1:{0/1:0}", &sku])
            .unwrap();
        let units = stored.rsplit(' ').next().unwrap().parse::<u64>().unwrap();
        assert_eq!(Some(units), shown[number - 1], "{stored}");
        assert_eq!(last[&sku].1, units, "{sku}");
    }
    for process in [catalog, inventory] {
        process.stop();
    }
    site.close().await;
}

async fn run(site: &Site, tool: KafkaTool, arguments: &[&str]) -> String {
    let kafka = site.kafka.clone();
    let arguments: Vec<String> = arguments.iter().map(|&it| it.to_owned()).collect();
    let run = move || {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        tool.run(&kafka, &arguments).unwrap()
    };
    tokio::task::spawn_blocking(run).await.unwrap()
}

/// The rows of a table, by the names of its columns.
fn rows(table: &str) -> Vec<BTreeMap<String, String>> {
    let mut lines = table.lines().filter(|line| !line.trim().is_empty());
    let header = lines.find(|line| line.contains("LOG-END-OFFSET"));
    let names: Vec<&str> = header.expect(table).split_whitespace().collect();
    let row = |line: &str| {
        let values = line.split_whitespace().map(str::to_owned);
        let names = names.iter().map(|&name| name.to_owned());
        names.zip(values).collect()
    };
    lines.map(row).collect()
}

async fn lag_is_small(catalog: &Process) -> bool {
    let metrics = catalog.get("/metrics").await.1;
    let lag = metrics
        .lines()
        .find(|line| line.starts_with("stockade_feed_lag_records{"))
        .and_then(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok());
    lag.is_some_and(|lag| lag <= 3.0)
}
