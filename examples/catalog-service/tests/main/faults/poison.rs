//! Records that no worker can read.

use std::time::Instant;

use serde_json::json;
use service_kit::testing::eventually;
use stockade_change_feed::{Headers, Message};

use super::{STALE, STALE_AFTER};
use crate::dead_letters::listed;
use crate::site::{Site, VARIANTS, counted, from_cache, lamps, reserve, shows, sku, units};
use crate::topic::StockTopic;

const DEAD_LETTERED: &str = "stockade_feed_records_dead_lettered_total";

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_can_not_be_read_is_a_dead_letter_and_the_rest_flows() {
    let Some(site) = Site::open(None).await else {
        return;
    };
    let inventory = site.inventory();
    let catalog = site.catalog("all", &[STALE]);
    lamps(&catalog, &inventory).await;
    from_cache(&catalog, &[1, 2, 3]).await;

    let topic = StockTopic::of(&site).await;
    let garbage = Message::keyed(sku(1), vec![0xff, 0x00, b'{']);
    // What a later version means by its fields is unknown, whatever they look like.
    let later = json!({
        "v": 2, "sku": sku(2), "new_stock_count": 999, "changed_at": 0,
        "version": {"epoch": 0, "number": 999},
    });
    let later = Message::keyed(sku(2), later.to_string());
    let later_heartbeat = json!({"v": 2, "epoch": 9, "complete_as_of": 0, "partitions": 1});
    let later_heartbeat = Message::to_partition(2, later_heartbeat.to_string())
        .with_headers(Headers::new().with("stockade-heartbeat", "2"));
    let mut positions = Vec::new();
    for message in [garbage, later, later_heartbeat] {
        let published = topic.publish(message).await;
        positions.push(format!("{}@{}", published.partition, published.offset));
    }
    let poisoned = Instant::now();
    // In every partition, behind them.
    for number in 1..VARIANTS {
        reserve(&inventory, number).await;
    }
    let expected: Vec<_> = (0..VARIANTS as u64 - 1).collect();
    eventually("the sales are seen", || async {
        shows(&catalog, "cache", &[0, 1, 2]).await && units(&catalog).await == expected
    })
    .await;
    topic.is_read().await;
    assert_eq!(counted(&catalog, DEAD_LETTERED).await, 3.0);

    let letters = listed(&site);
    let of = |position: &String| {
        let mut found = letters.iter().filter(|it| it["origin"] == **position);
        found
            .next()
            .unwrap_or_else(|| panic!("{position}: {letters:?}"))
    };
    assert_eq!(letters.len(), 3, "{letters:?}");
    for (position, reason) in positions.iter().zip([
        "malformed stock event at value",
        "format 2 is newer than 1; upgrade this reader",
        "format 2 is newer than 1; upgrade this reader",
    ]) {
        let letter = of(position);
        assert!(
            letter["reason"].as_str().unwrap().contains(reason),
            "{letter}"
        );
        assert_eq!(letter["group"], site.name, "{letter}");
    }
    assert_eq!(of(&positions[1])["key"], sku(2));

    // Heartbeats behind them count, or the cache would be too old by now.
    tokio::time::sleep((STALE_AFTER * 2).saturating_sub(poisoned.elapsed())).await;
    from_cache(&catalog, &[0, 1, 2]).await;
    for process in [catalog, inventory] {
        process.stop();
    }
    site.close().await;
}
