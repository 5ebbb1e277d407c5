use std::sync::atomic::{AtomicUsize, Ordering};

use stockade_change_feed::memory::MemoryFeed;
use stockade_change_feed::{ManualClock, Message, Offset, ReadFrom, Timestamp};

use super::*;
use crate::availability::cache::{CacheEntry, Coverage};
use crate::availability::page::Stock;
use crate::availability::refill::AvailabilityRefill;
use crate::availability::testing::{
    Mode, ScriptedCache, ScriptedSource, changed, fill, heartbeat, sku, start,
};
use crate::memory::MemoryAvailabilityCache;

const PARTITIONS: u32 = 3;

struct Shop {
    clock: Arc<ManualClock>,
    cache: Arc<ScriptedCache>,
    source: Arc<ScriptedSource>,
    pages: Availability,
}

/// Inventory has 5 tees and 2 mugs; the cache holds the tees, is fresh, and its tee may be old.
async fn shop() -> Shop {
    shop_of(ScriptedSource::new([
        changed("tee", 5, 0, 2),
        changed("mug", 2, 0, 1),
    ]))
    .await
}

async fn shop_of(source: ScriptedSource) -> Shop {
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_000_000)));
    let cache = Arc::new(ScriptedCache::new());
    let source = Arc::new(source);
    let pages = Availability::new(cache.clone(), source.clone())
        .with_clock(clock.clone())
        .with_cache_timeout(Duration::from_secs(2));
    let shop = Shop {
        clock,
        cache,
        source,
        pages,
    };
    shop.cache
        .inner
        .write(&[changed("tee", 6, 0, 1)])
        .await
        .unwrap();
    start(&shop.cache.inner, 0..PARTITIONS).await;
    fill(&shop.cache.inner).await;
    shop.mark(0..PARTITIONS).await;
    shop
}

impl Shop {
    async fn mark(&self, partitions: impl Iterator<Item = u32>) {
        let now = self.clock.now();
        let advances = partitions.map(|number| heartbeat(number, PARTITIONS, now));
        let advances: Vec<_> = advances.collect();
        self.cache.inner.apply(&[], &advances).await.unwrap();
    }

    async fn page(&self, names: &[&str]) -> PageAvailability {
        let skus: Vec<Sku> = names.iter().map(|name| sku(name)).collect();
        self.pages.of(&skus).await
    }

    async fn one(&self, name: &str) -> (Stock, Origin, CircuitState) {
        let page = self.page(&[name]).await;
        (page.items[0].stock, page.items[0].origin, page.circuit)
    }

    fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

use CircuitState::{Closed, HalfOpen, Open};
use Stock::{Available, NotStocked, Unknown};

#[tokio::test]
async fn a_fresh_cache_answers_and_inventory_fills_the_gaps() {
    let shop = shop().await;
    shop.pass(3);
    let page = shop.page(&["mug", "tee", "nothing", "tee"]).await;
    let seen: Vec<_> = page
        .items
        .iter()
        .map(|item| (item.sku.as_str(), item.stock, item.origin, item.age))
        .collect();
    let (cached, now) = (Some(Duration::from_secs(3)), Some(Duration::ZERO));
    assert_eq!(
        seen,
        [
            ("mug", Available(2), Origin::Inventory, now),
            ("tee", Available(6), Origin::Cache, cached),
            ("nothing", NotStocked, Origin::Inventory, now),
            ("tee", Available(6), Origin::Cache, cached),
        ]
    );
    assert_eq!((page.circuit, shop.source.calls()), (Closed, 1));

    assert_eq!(shop.one("mug").await, (Available(2), Origin::Cache, Closed));
    assert_eq!(
        shop.one("nothing").await,
        (NotStocked, Origin::Cache, Closed)
    );
    assert_eq!(shop.source.calls(), 1, "both were written back");
    assert_eq!(shop.page(&[]).await.items, []);
}

#[tokio::test]
async fn a_stale_cache_is_bypassed_until_probes_find_it_fresh() {
    let shop = shop().await;
    shop.pass(31);
    assert_eq!(
        shop.one("tee").await,
        (Available(5), Origin::Inventory, Open)
    );
    let reads = shop.cache.reads();
    for _ in 0..10 {
        assert_eq!(
            shop.one("tee").await,
            (Available(5), Origin::Inventory, Open)
        );
    }
    assert_eq!(shop.cache.reads(), reads, "nobody touches it");

    shop.mark(0..PARTITIONS).await;
    shop.pass(1);
    assert_eq!(
        shop.one("tee").await,
        (Available(5), Origin::Inventory, HalfOpen)
    );
    assert_eq!(
        shop.one("tee").await,
        (Available(5), Origin::Inventory, HalfOpen)
    );
    shop.pass(1);
    assert_eq!(shop.one("tee").await, (Available(6), Origin::Cache, Closed));
    assert_eq!(shop.cache.reads(), reads + 3, "two probes and a page");
}

#[tokio::test]
async fn a_dead_partition_opens_though_the_others_are_fresh() {
    let shop = shop().await;
    shop.pass(31);
    shop.mark(1..PARTITIONS).await;
    assert_eq!(
        shop.one("tee").await,
        (Available(5), Origin::Inventory, Open)
    );
}

#[tokio::test]
async fn clocks_may_differ_by_the_tolerance_and_no_more() {
    let shop = shop().await;
    let start = shop.clock.now();
    shop.clock.step_to(start.minus(Duration::from_secs(5)));
    assert_eq!(shop.one("tee").await.2, Closed);
    shop.clock.step_to(start.minus(Duration::from_secs(6)));
    assert_eq!(shop.one("tee").await.2, Open);
}

#[tokio::test]
async fn a_mark_that_stops_opens_though_the_wall_clock_stands_still() {
    let shop = shop().await;
    let start = shop.clock.now();
    assert_eq!(shop.one("tee").await.2, Closed);
    shop.pass(31);
    shop.clock.step_to(start);
    assert_eq!(shop.one("tee").await.2, Open);
}

#[tokio::test]
async fn a_page_outlives_inventory_with_the_last_known_stock_and_its_age() {
    let shop = shop().await;
    shop.source.set(Mode::Fails);
    assert_eq!(shop.one("mug").await, (Unknown, Origin::Nowhere, Closed));
    shop.pass(40);
    for attempt in 0..2 {
        let page = shop.page(&["tee", "mug"]).await;
        let (tee, mug) = (&page.items[0], &page.items[1]);
        assert_eq!(
            (tee.stock, tee.origin),
            (Available(6), Origin::LastKnown),
            "{attempt}"
        );
        assert_eq!(tee.age, Some(Duration::from_secs(40)));
        assert_eq!(
            (mug.stock, mug.origin, mug.age),
            (Unknown, Origin::Nowhere, None)
        );
        assert_eq!(page.circuit, Open);
    }
}

#[tokio::test]
async fn a_page_comes_back_though_everything_hangs() {
    let mut shop = shop().await;
    let short = Duration::from_millis(20);
    shop.pages = shop
        .pages
        .with_cache_timeout(short)
        .with_inventory_timeout(short);
    shop.cache.set(Mode::Hangs);
    shop.source.set(Mode::Hangs);
    for state in [Closed, Closed, Open, Open] {
        let time_passes = async {
            loop {
                shop.clock.advance(Duration::from_millis(1));
                tokio::task::yield_now().await;
            }
        };
        let page = tokio::select! {
            page = shop.one("tee") => page,
            () = time_passes => return,
        };
        assert_eq!(page, (Unknown, Origin::Nowhere, state));
    }
    assert!(shop.clock.monotonic() < Duration::from_secs(1));
}

#[tokio::test]
async fn an_unreachable_cache_opens_and_inventory_answers() {
    let shop = shop().await;
    shop.cache.set(Mode::Fails);
    for state in [Closed, Closed, Open] {
        assert_eq!(
            shop.one("tee").await,
            (Available(5), Origin::Inventory, state)
        );
    }
    shop.cache.set(Mode::Works);
    shop.pass(1);
    assert_eq!(shop.one("tee").await.2, HalfOpen);
}

#[tokio::test]
async fn a_thousand_pages_with_the_circuit_open_make_few_calls() {
    let stock = (0..10).map(|n| changed(&format!("sku{n}"), n, 0, 1));
    let mut shop = shop_of(ScriptedSource::new(stock).behind_a_gate()).await;
    shop.pages = shop.pages.with_inventory_timeout(Duration::from_secs(60));
    shop.pass(31);
    let shop = Arc::new(shop);
    let asked = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..1_000)
        .map(|_| {
            let (shop, asked) = (Arc::clone(&shop), Arc::clone(&asked));
            tokio::spawn(async move {
                asked.fetch_add(1, Ordering::SeqCst);
                let names: Vec<String> = (0..10).map(|n| format!("sku{n}")).collect();
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                shop.page(&names).await
            })
        })
        .collect();
    // On one thread, who has begun to ask waits by the time that others run.
    while asked.load(Ordering::SeqCst) < 1_000 {
        tokio::task::yield_now().await;
    }
    shop.source.gate.add_permits(1_000_000);
    for task in tasks {
        let page = task.await.unwrap();
        for (number, item) in (0..).zip(&page.items) {
            let expected = (Available(number), Origin::Inventory);
            assert_eq!((item.stock, item.origin), expected);
        }
    }
    assert_eq!(
        shop.source.calls(),
        5,
        "four at once, and one for all others"
    );
}

#[tokio::test]
async fn an_emptied_cache_is_refilled_and_trusted_again() {
    let shop = shop().await;
    assert_eq!(shop.one("tee").await, (Available(6), Origin::Cache, Closed));
    shop.cache.inner.clear();
    assert_eq!(
        shop.one("tee").await,
        (Available(5), Origin::Inventory, Open)
    );

    let refill = AvailabilityRefill::new(shop.cache.clone(), shop.source.clone());
    let filled = async {
        let coverage = || async { shop.cache.inner.read(&[]).await.unwrap().coverage };
        while coverage().await == Coverage::Unfilled {
            tokio::task::yield_now().await;
        }
    };
    start(&shop.cache.inner, 0..PARTITIONS).await;
    refill.run(filled).await;
    shop.mark(0..PARTITIONS).await;
    let calls = shop.source.calls();
    shop.pass(1);
    shop.page(&[]).await;
    shop.pass(1);
    let page = shop.page(&["tee", "mug"]).await;
    assert_eq!(page.circuit, Closed);
    assert_eq!(page.items[0].stock, Available(5));
    assert_eq!(page.items[1].origin, Origin::Cache);
    assert_eq!(shop.source.calls(), calls);
}

#[tokio::test]
async fn a_cache_that_fell_back_is_not_trusted_once_events_follow_what_it_lost() {
    let shop = shop().await;
    let aged = shop.cache.inner.save();
    let upto = |after, upto| Advance::empty(0, ReadFrom::After(Offset(after)), Offset(upto));
    let apply = |entries: Vec<StockChanged>, advance: Advance| {
        let cache = &shop.cache.inner;
        async move { cache.apply(&entries, &[advance]).await.unwrap() }
    };
    apply(vec![changed("tee", 5, 0, 2)], upto(0, 1)).await;
    assert_eq!(shop.one("tee").await, (Available(5), Origin::Cache, Closed));

    shop.cache.inner.restore(aged);
    shop.pass(10);
    let old = shop.page(&["tee"]).await;
    assert_eq!(old.items[0].stock, Available(6));
    let age = Some(Duration::from_secs(10));
    assert_eq!(old.items[0].age, age, "old stock is not shown as fresh");

    let mut next = upto(1, 2);
    next.complete = heartbeat(0, PARTITIONS, shop.clock.now()).complete;
    apply(vec![changed("mug", 2, 0, 1)], next).await;
    shop.mark(1..PARTITIONS).await;
    assert_eq!(
        shop.one("tee").await,
        (Available(5), Origin::Inventory, Open),
        "the marks are young, and the cache lacks an event"
    );
    shop.source.set(Mode::Fails);
    let page = shop.page(&["tee"]).await;
    let tee = &page.items[0];
    assert_eq!(
        (tee.stock, tee.origin, tee.age),
        (Available(6), Origin::LastKnown, None),
        "nobody knows how old it is"
    );
}

#[tokio::test]
async fn each_change_is_announced_once() {
    let mut shop = shop().await;
    let changes = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&changes);
    shop.pages = shop
        .pages
        .with_alert(Arc::new(move |change: &CircuitChange| {
            seen.lock().unwrap().push((change.from, change.to));
        }));
    shop.pass(31);
    for _ in 0..5 {
        shop.one("tee").await;
    }
    shop.mark(0..PARTITIONS).await;
    for _ in 0..5 {
        shop.pass(1);
        shop.one("tee").await;
        shop.one("tee").await;
    }
    let changes = changes.lock().unwrap();
    assert_eq!(
        *changes,
        [(Closed, Open), (Open, HalfOpen), (HalfOpen, Closed)]
    );
}

#[tokio::test]
async fn the_lag_of_the_worker_is_a_second_source() {
    let shop = shop().await;
    let feed = MemoryFeed::new(shop.clock.clone());
    let topic = stockade_inventory_core::inventory_updates();
    feed.append(&topic, Message::keyed("tee", "{}")).unwrap();
    shop.pass(31);
    shop.mark(0..PARTITIONS).await;
    assert_eq!(shop.one("tee").await.2, Closed, "the marks are fresh");
    let group = Group::new("availability").unwrap();
    let opened = AtomicUsize::new(0);
    let until_open = async {
        while shop.one("tee").await.2 != Open {
            tokio::task::yield_now().await;
        }
        opened.fetch_add(1, Ordering::SeqCst);
    };
    shop.pages
        .watch_lag(&feed, &group, &[topic], until_open)
        .await;
    assert_eq!(opened.load(Ordering::SeqCst), 1);
    shop.pass(1);
    assert_eq!(
        shop.one("tee").await.2,
        HalfOpen,
        "no longer watched, no longer counted"
    );
}

#[tokio::test]
async fn what_inventory_knew_earlier_never_replaces_what_the_cache_knows() {
    let cache = Arc::new(MemoryAvailabilityCache::new());
    cache.write(&[changed("tee", 4, 0, 9)]).await.unwrap();
    let source = Arc::new(ScriptedSource::new([changed("tee", 5, 0, 2)]));
    let refill = AvailabilityRefill::new(cache.clone(), source);
    let filled = async {
        while cache.read(&[]).await.unwrap().coverage == Coverage::Unfilled {
            tokio::task::yield_now().await;
        }
    };
    refill.run(filled).await;
    let read = cache.read(&[sku("tee")]).await.unwrap();
    assert!(matches!(
        read.entries[0],
        Some(CacheEntry::Known { available: 4, .. })
    ));
}
