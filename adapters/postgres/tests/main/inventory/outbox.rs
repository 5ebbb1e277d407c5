//! What is to be published, while transactions are under way.

use std::time::{Duration, Instant};

use stockade_inventory_core::{InventoryStore, StockChanged, StockOutbox, Version};

use super::conformance::PostgresHarness;
use super::shop::{at_most, line, open, reserve, set, sku, stock, wants};

async fn unpublished(h: &PostgresHarness) -> Vec<StockChanged> {
    h.store
        .unpublished(None, at_most(100))
        .await
        .unwrap()
        .changes
}

async fn mark(h: &PostgresHarness, changes: &[StockChanged]) {
    let marks = changes.iter().map(|c| (c.sku.clone(), c.version));
    let marks: Vec<_> = marks.collect();
    h.store.mark_published(&marks).await.unwrap();
}

#[tokio::test]
async fn what_commits_late_is_published_late_and_not_lost() {
    let Some(h) = open().await else { return };
    set(&h.store, "tee", 5).await;
    let first = unpublished(&h).await;
    let mut host = h.pool.begin().await.unwrap();
    let within = h.store.within(&mut host);
    reserve(&within, &wants("late", [line("tee", 1)]))
        .await
        .unwrap();
    drop(within);

    // The relay publishes what it sees. It waits for nobody, nor does it take what is changing for
    // published.
    let page = h.store.unpublished(None, at_most(100)).await.unwrap();
    assert_eq!(page.changes, first);
    let started = Instant::now();
    mark(&h, &page.changes).await;
    assert!(started.elapsed() < Duration::from_millis(1500), "it waited");

    host.commit().await.unwrap();
    let late = unpublished(&h).await;
    assert_eq!(late.len(), 1);
    assert_eq!(late[0].new_stock_count, 4);
    mark(&h, &late).await;
    assert_eq!(unpublished(&h).await, []);
}

#[tokio::test]
async fn a_change_at_another_location_keeps_a_sku_unpublished() {
    let Some(h) = open().await else { return };
    for at in ["amsterdam", "berlin"] {
        let place = stockade_inventory_core::LocationId::new(at).unwrap();
        let change = stockade_inventory_core::StockChange::Set(5);
        let set = super::shop::adjustment(at, "tee", change).at(place);
        h.store.adjust(&[set]).await.unwrap().remove(0).unwrap();
    }
    let before = unpublished(&h).await;
    let berlin = stockade_inventory_core::LocationId::new("berlin").unwrap();
    let line = line("tee", 1).at(berlin);
    reserve(&h.store, &wants("r", [line])).await.unwrap();
    mark(&h, &before).await;
    let still = unpublished(&h).await;
    assert_eq!(still.len(), 1);
    assert_eq!(still[0].new_stock_count, 9);
    assert_eq!(still[0].version, Version::new(0, 3));
    mark(&h, &still).await;
    assert_eq!(unpublished(&h).await, []);
}

#[tokio::test]
async fn relays_side_by_side_lose_nothing() {
    let Some(h) = open().await else { return };
    let names: Vec<String> = (0..5).map(|n| format!("sku-{n}")).collect();
    for of in &names {
        set(&h.store, of, 1_000).await;
    }
    let writing = async {
        for n in 0..120 {
            let request = wants(&format!("r{n}"), [line(&names[n % 5], 1)]);
            reserve(&h.store, &request).await.unwrap();
        }
    };
    let relaying = || async {
        for n in 0..40 {
            let changes = unpublished(&h).await;
            // One that crashes after publishing has marked nothing.
            if n % 5 != 0 {
                mark(&h, &changes).await;
            }
        }
    };
    futures::join!(writing, relaying(), relaying());
    // The newest state of each is published or still to be published.
    let rest = unpublished(&h).await;
    for change in &rest {
        let stock = stock(&h.store, change.sku.as_str()).await;
        assert_eq!(change.version, stock.version());
    }
    mark(&h, &rest).await;
    assert_eq!(unpublished(&h).await, []);
    reserve(&h.store, &wants("last", [line("sku-0", 1)]))
        .await
        .unwrap();
    assert_eq!(unpublished(&h).await.len(), 1);
    assert_eq!(unpublished(&h).await[0].sku, sku("sku-0"));
}
