//! The store and the timers in memory.

use std::sync::Arc;

use stockade_change_feed::{Clock, SystemClock};
use stockade_inventory_core::memory::{MemoryInventory, MemoryTimer};
use stockade_inventory_core::*;

use crate::shop::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_last_unit_goes_to_one() {
    let store = MemoryInventory::new(Arc::new(SystemClock::new()));
    store.adjust(&[set("first", "tee", 1)]).await.unwrap();
    let tries = (0..1000).map(|n| {
        let store = store.clone();
        let request = request(&format!("r{n}"), "tee", 1);
        tokio::spawn(async move { store.reserve(&[request]).await.unwrap().remove(0).is_ok() })
    });
    let mut granted = 0;
    for granting in tries.collect::<Vec<_>>() {
        granted += usize::from(granting.await.unwrap());
    }
    assert_eq!(granted, 1);
    let page = store
        .movements(&sku("tee"), None, at_most(10))
        .await
        .unwrap();
    assert_eq!(page.movements.len(), 2);
}

#[tokio::test]
async fn listings_come_in_pages() {
    let shop = Shop::with(&[("a", 1), ("b", 2), ("c", 3)]).await;
    let names = |page: StockPage| -> Vec<String> {
        page.stock
            .iter()
            .map(|stock| stock.sku().to_string())
            .collect()
    };
    let first = shop.store.scan(None, at_most(2)).await.unwrap();
    let rest = shop
        .store
        .scan(first.next.as_ref(), at_most(2))
        .await
        .unwrap();
    assert_eq!(rest.next, None);
    assert_eq!(
        (names(first), names(rest)),
        (vec!["a".into(), "b".into()], vec!["c".into()])
    );

    shop.set("again", "a", 4).await;
    let first = shop
        .store
        .movements(&sku("a"), None, at_most(1))
        .await
        .unwrap();
    let rest = shop
        .store
        .movements(&sku("a"), first.next.as_ref(), at_most(1))
        .await
        .unwrap();
    assert_eq!(rest.movements[0].delta.physical, 3);
    assert_eq!(rest.next, None);
    for foreign in ["3", "-1", "", "x", "99999999999999999999"] {
        let cursor = Cursor(foreign.to_owned());
        let refused = shop
            .store
            .movements(&sku("a"), Some(&cursor), at_most(1))
            .await;
        assert!(matches!(
            refused,
            Err(InventoryError::Invalid {
                field: "cursor",
                ..
            })
        ));
    }
}

#[tokio::test]
async fn the_longest_overdue_expire_first() {
    let shop = Shop::with(&[("tee", 9)]).await;
    for reservation in ["c", "a", "b"] {
        shop.reserve(reservation, "tee", 1).await;
        shop.clock.advance(seconds(1));
    }
    shop.clock.advance(seconds(8));
    let sweep = shop.store.expire_overdue(at_most(1)).await.unwrap();
    assert_eq!(sweep.outcomes[0].as_ref().unwrap().id, id("c"));
    assert_eq!(sweep.rest, Rest::More);
    let sweep = shop.store.expire_overdue(at_most(9)).await.unwrap();
    assert_eq!(sweep.outcomes.len(), 1, "the last one is not due");
    assert_eq!(sweep.rest, Rest::None);
    assert_eq!(shop.counts("tee").await, (9, 1));
}

#[tokio::test]
async fn a_sku_that_changed_after_the_mark_stays_in_the_outbox() {
    let shop = Shop::with(&[("a", 1), ("b", 2)]).await;
    let page = shop.store.unpublished(None, at_most(1)).await.unwrap();
    assert_eq!(page.changes.len(), 1);
    assert!(page.next.is_some());
    let rest = shop
        .store
        .unpublished(page.next.as_ref(), at_most(1))
        .await
        .unwrap();
    assert_eq!((rest.changes[0].sku.as_str(), rest.next), ("b", None));
    let marks: Vec<_> = [page.changes, rest.changes]
        .concat()
        .into_iter()
        .map(|change| (change.sku, change.version))
        .collect();
    shop.reserve("r", "a", 1).await;
    shop.store.mark_published(&marks).await.unwrap();
    let page = shop.store.unpublished(None, at_most(9)).await.unwrap();
    assert_eq!(
        (page.changes.len(), page.changes[0].new_stock_count),
        (1, 0)
    );
}

#[tokio::test]
async fn a_raised_epoch_wins_over_all_numbers() {
    let shop = Shop::with(&[("a", 1)]).await;
    let version = |stock: Vec<Option<SkuStock>>| stock[0].as_ref().unwrap().version();
    let before = version(shop.store.stock(&[sku("a")]).await.unwrap());
    shop.store
        .mark_published(&[(sku("a"), before)])
        .await
        .unwrap();
    shop.store.raise_epoch();
    let after = version(shop.store.stock(&[sku("a")]).await.unwrap());
    assert_eq!(after, Version::new(1, before.number));
    shop.store
        .mark_published(&[(sku("a"), before)])
        .await
        .unwrap();
    let page = shop.store.unpublished(None, at_most(9)).await.unwrap();
    assert_eq!(page.changes[0].version, after);
}

async fn arm(timer: &MemoryTimer, name: &str, after: u64) {
    timer.arm(&[(id(name), seconds(after))]).await.unwrap();
}

#[tokio::test]
async fn timers_come_once_and_in_time() {
    let shop = Shop::with(&[]).await;
    arm(&shop.timer, "late", 20).await;
    arm(&shop.timer, "removed", 5).await;
    arm(&shop.timer, "replaced", 5).await;
    arm(&shop.timer, "replaced", 8).await;
    shop.timer
        .disarm(&[id("removed"), id("unknown")])
        .await
        .unwrap();
    shop.clock.advance(seconds(7));
    assert!(
        shop.timer
            .due(at_most(9), seconds(0))
            .await
            .unwrap()
            .is_empty()
    );
    shop.clock.advance(seconds(1));
    assert_eq!(
        shop.timer.due(at_most(9), seconds(0)).await.unwrap(),
        [id("replaced")]
    );
    assert!(
        shop.timer
            .due(at_most(9), seconds(0))
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn a_timer_that_is_set_later_ends_a_wait() {
    let shop = Shop::with(&[]).await;
    arm(&shop.timer, "last", 500).await;
    let timer = shop.timer.clone();
    let waiting = tokio::spawn(async move { timer.due(at_most(9), seconds(600)).await.unwrap() });
    tokio::task::yield_now().await;
    arm(&shop.timer, "first", 3).await;
    shop.pass_time_until(|| async { waiting.is_finished() })
        .await;
    assert_eq!(waiting.await.unwrap(), [id("first")]);
    assert!(shop.clock.monotonic() < seconds(60));
}

#[tokio::test]
async fn a_dropped_wait_takes_no_timer_and_limits_hold() {
    let shop = Shop::with(&[]).await;
    let timer = shop.timer.clone();
    let dropped = tokio::spawn(async move { timer.due(at_most(9), seconds(600)).await });
    tokio::task::yield_now().await;
    dropped.abort();
    for name in ["a", "b", "c"] {
        arm(&shop.timer, name, 1).await;
    }
    shop.clock.advance(seconds(1));
    let mut due = Vec::new();
    for expected in [2, 1, 0] {
        let page = shop.timer.due(at_most(2), seconds(0)).await.unwrap();
        assert_eq!(page.len(), expected);
        due.extend(page);
    }
    due.sort();
    assert_eq!(due, [id("a"), id("b"), id("c")]);
}
