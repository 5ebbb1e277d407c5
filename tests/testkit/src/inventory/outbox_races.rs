//! Publishing while stock changes, and dropped calls.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stockade_change_feed::Timestamp;
use stockade_inventory_core::{Effect, Sku, StockOutbox, Version};

use super::OutboxHarness;
use super::ledger::all_movements;
use super::outbox::{mark, page, publish_all, unpublished, versioned};
use super::shop::{Shop, adjustment, line, receive, sku, wants};
use crate::{dropped_after, together, while_the_clock_runs};

/// Versions that writers got, or that a relay published.
type Versions = BTreeMap<Sku, Version>;

fn raise(versions: &mut Versions, sku: Sku, version: Version) {
    let kept = versions.entry(sku).or_insert(version);
    *kept = version.max(*kept);
}

pub(super) async fn nothing_is_lost_while_stock_changes<H: OutboxHarness>(h: H) {
    const SKUS: usize = 9;
    let shop = Shop::open(&h, &[]).await;
    let told: Arc<Mutex<Versions>> = Arc::default();
    let outbox = h.outbox();
    let writing = together((0..6).map(|writer| {
        let (shop, told) = (shop.clone(), told.clone());
        async move {
            for n in 0..30 {
                // A store in memory would else be done before the first pass.
                tokio::time::sleep(Duration::from_millis(1)).await;
                let of = format!("sku-{}", (writer * 5 + n * 7) % SKUS);
                let adjusted = shop.receive(&of, 1).await;
                let mut told = told.lock().expect("no panic while the lock is held");
                raise(&mut told, adjusted.movement.sku, adjusted.movement.version);
            }
        }
    }));
    let mut published = Versions::new();
    let relaying = async {
        loop {
            relay(outbox.as_ref(), &told, &mut published).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        _ = writing => {}
        never = relaying => never,
    }
    // One more change in the midst of a pass, sooner or later, that no later one makes good.
    for after in (0..20).step_by(2).map(Duration::from_millis) {
        shop.receive("sku-0", 1).await;
        let late = async {
            tokio::time::sleep(after).await;
            shop.receive("sku-0", 1).await
        };
        let (_, late) = futures::join!(relay(outbox.as_ref(), &told, &mut published), late);
        let (sku, version) = (late.movement.sku, late.movement.version);
        raise(
            &mut told.lock().expect("no panic while the lock is held"),
            sku,
            version,
        );
        relay(outbox.as_ref(), &told, &mut published).await;
    }
    assert_eq!(
        unpublished(outbox.as_ref()).await,
        [],
        "after a pass while nothing changed"
    );
    for n in 0..SKUS {
        let stock = shop.stock(&format!("sku-{n}")).await;
        let newest = published.get(stock.sku()).copied();
        assert_eq!(
            newest,
            Some(stock.version()),
            "published of {}",
            stock.sku()
        );
    }
    shop.ledger().await;
}

/// One pass of a relay. Versions that writers got before the pass must be published after it.
async fn relay(outbox: &dyn StockOutbox, told: &Mutex<Versions>, published: &mut Versions) {
    let before = told
        .lock()
        .expect("no panic while the lock is held")
        .clone();
    let mut next = None;
    loop {
        let page = page(outbox, next.as_ref(), 2).await;
        let versions: Vec<_> = page.changes.into_iter().map(versioned).collect();
        for (sku, version) in versions.clone() {
            raise(published, sku, version);
        }
        mark(outbox, &versions).await;
        match page.next {
            Some(sku) => next = Some(sku),
            None => break,
        }
    }
    for (sku, version) in before {
        let newest = published.get(&sku).copied();
        assert!(
            newest.is_some_and(|newest| newest >= version),
            "{sku} had version {version} before a pass, and after it {newest:?} was published"
        );
    }
}

pub(super) async fn nothing_before_complete_as_of_is_missing<H: OutboxHarness>(h: H) {
    const WRITERS: usize = 6;
    const MOST_WRITES: usize = 300;
    const PAGES: usize = 100;
    let shop = Shop::open(&h, &[]).await;
    let outbox = h.outbox();
    let done = Arc::new(AtomicBool::new(false));
    // All of one SKU, so that its movements follow each other as closely as they can.
    let writing = together((0..WRITERS).map(|_| {
        let (shop, done) = (shop.clone(), done.clone());
        async move {
            for _ in 0..MOST_WRITES {
                if done.load(Ordering::Relaxed) {
                    return;
                }
                shop.receive("tee", 1).await;
            }
        }
    }));
    // Nothing is marked, so each page has the SKU once it has changed.
    let mut pages: Vec<(Timestamp, Option<Version>)> = Vec::new();
    let reading = async {
        while pages.len() < PAGES {
            let page = page(outbox.as_ref(), None, 100).await;
            let newest = page.changes.first().map(|change| change.version);
            pages.push((page.complete_as_of, newest));
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        done.store(true, Ordering::Relaxed);
    };
    let both = async { futures::join!(writing, reading) };
    while_the_clock_runs(&h, both).await;
    let movements = all_movements(shop.store.as_ref(), &sku("tee")).await;
    for (time, newest) in pages {
        // A movement is stamped while its level is locked, so the one before it was committed
        // before that time.
        let stamped = movements.partition_point(|movement| movement.at < time);
        let Some(committed) = stamped.checked_sub(2).and_then(|at| movements.get(at)) else {
            continue;
        };
        assert!(
            newest >= Some(committed.version),
            "a page is complete as of {time}, and has version {newest:?} of a SKU whose version {} \
             was committed before that; complete_as_of has to be read before the snapshot",
            committed.version
        );
    }
}

/// The most await points at which the case drops a call.
const MOST_POLLS: usize = 64;

pub(super) async fn a_dropped_change_is_unpublished_or_undone<H: OutboxHarness>(h: H) {
    let shop = Shop::open(&h, &[("cap", 999), ("tee", 999)]).await;
    let (store, outbox) = (h.store(), h.outbox());
    publish_all(outbox.as_ref()).await;
    for polls in 1..=MOST_POLLS {
        let (reserving, adjusting) = (format!("r-{polls}"), format!("op-{polls}"));
        let request = [wants(&reserving, [line("cap", 1), line("tee", 1)])];
        let reserved = dropped_after(polls, store.reserve(&request)).await;
        // The same call comes after whatever the dropped one may still do.
        let again = shop.reserve(&request[0]).await;
        let again = again.unwrap_or_else(|error| panic!("reserving again failed: {error}"));
        expect_unpublished(&shop, outbox.as_ref(), &["cap", "tee"], again.effect).await;

        let adjustment = [adjustment(&adjusting, "tee", receive(1))];
        let adjusted = dropped_after(polls, store.adjust(&adjustment)).await;
        let again = shop.adjust(&adjustment[0]).await;
        let again = again.unwrap_or_else(|error| panic!("adjusting again failed: {error}"));
        expect_unpublished(&shop, outbox.as_ref(), &["tee"], again.effect).await;
        if reserved.is_some() && adjusted.is_some() {
            break;
        }
    }
    shop.ledger().await;
}

/// These SKUs have changed since they were marked, and are marked now.
async fn expect_unpublished(shop: &Shop, outbox: &dyn StockOutbox, skus: &[&str], effect: Effect) {
    let changes = unpublished(outbox).await;
    for of in skus {
        let newest = shop.stock(of).await.version();
        let found = changes.iter().find(|change| change.sku.as_str() == *of);
        assert_eq!(
            found.map(|change| change.version),
            Some(newest),
            "{of} changed in a call that was dropped (left: its version in the outbox), and the \
             same call was then {effect:?}: the SKU has to come into the outbox in the transaction \
             that changes its level"
        );
    }
    publish_all(outbox).await;
}
