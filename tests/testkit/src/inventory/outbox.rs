//! What is to be published: the newest state of each SKU, and nothing missing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use stockade_change_feed::Timestamp;
use stockade_inventory_core::{
    Cursor, OutboxPage, Sku, StockChanged, StockOutbox, Transition, Version,
};

use super::OutboxHarness;
use super::shop::{PAST_SHORT, Shop, line, sku, wants};
use crate::together;

async fn page(outbox: &dyn StockOutbox, after: Option<&Cursor>, limit: usize) -> OutboxPage {
    let page = outbox.unpublished(after, limit).await;
    let page = page.unwrap_or_else(|error| panic!("reading the outbox failed: {error}"));
    assert!(
        page.changes.len() <= limit,
        "a page of at most {limit} SKUs has {}",
        page.changes.len()
    );
    page
}

/// All pages, from the first to the last.
async fn pass(outbox: &dyn StockOutbox, limit: usize) -> Vec<OutboxPage> {
    let mut pages = vec![page(outbox, None, limit).await];
    while let Some(next) = pages.last().and_then(|page| page.next.clone()) {
        pages.push(page(outbox, Some(&next), limit).await);
    }
    pages
}

async fn unpublished(outbox: &dyn StockOutbox) -> Vec<StockChanged> {
    let pages = pass(outbox, 100).await.into_iter();
    let mut changes: Vec<_> = pages.flat_map(|page| page.changes).collect();
    changes.sort_by(|a, b| a.sku.cmp(&b.sku));
    changes
}

async fn mark(outbox: &dyn StockOutbox, published: &[(Sku, Version)]) {
    let marked = outbox.mark_published(published).await;
    marked.unwrap_or_else(|error| panic!("marking as published failed: {error}"));
}

/// Marks everything as published that is not yet.
async fn publish_all(outbox: &dyn StockOutbox) {
    let published: Vec<_> = unpublished(outbox)
        .await
        .into_iter()
        .map(versioned)
        .collect();
    mark(outbox, &published).await;
}

fn versioned(change: StockChanged) -> (Sku, Version) {
    (change.sku, change.version)
}

pub(super) async fn the_newest_state_is_to_be_published<H: OutboxHarness>(h: H) {
    let shop = Shop::open(&h, &[]).await;
    let outbox = h.outbox();
    assert_eq!(
        unpublished(outbox.as_ref()).await,
        [],
        "of a store without stock"
    );
    for location in h.locations() {
        shop.receive_at("tee", &location, 5).await;
    }
    shop.hold("r", "tee", 3).await;
    let stock = shop.stock("tee").await;
    assert_eq!(stock.available(), 7);
    let expected = StockChanged::new(sku("tee"), 7, stock.version(), stock.changed_at());
    assert_eq!(
        unpublished(outbox.as_ref()).await,
        [expected],
        "over both locations"
    );
}

pub(super) async fn what_is_published_is_gone_until_it_changes<H: OutboxHarness>(h: H) {
    let shop = Shop::open(&h, &[("cap", 1), ("tee", 5)]).await;
    let outbox = h.outbox();
    publish_all(outbox.as_ref()).await;
    assert_eq!(
        unpublished(outbox.as_ref()).await,
        [],
        "all is marked as published"
    );
    shop.hold("r", "tee", 1).await;
    let changed = unpublished(outbox.as_ref()).await;
    assert_eq!(changed.len(), 1);
    assert_eq!(
        (changed[0].sku.as_str(), changed[0].new_stock_count),
        ("tee", 4)
    );
}

pub(super) async fn every_kind_of_change_is_to_be_published<H: OutboxHarness>(h: H) {
    let shop = Shop::open(&h, &[("tee", 9)]).await;
    let outbox = h.outbox();
    let expect = async |what: &str, available: u64| {
        let changes = unpublished(outbox.as_ref()).await;
        let counts: Vec<u64> = changes
            .iter()
            .map(|change| change.new_stock_count)
            .collect();
        assert_eq!(counts, [available], "to be published after {what}");
        publish_all(outbox.as_ref()).await;
    };
    expect("a receive", 9).await;
    shop.hold("released", "tee", 1).await;
    expect("a reserve", 8).await;
    shop.must("released", Transition::Release).await;
    expect("a release", 9).await;
    shop.hold_shortly("expired", "tee", 2).await;
    expect("a reserve", 7).await;
    h.pass_time(PAST_SHORT).await;
    shop.expire("expired").await;
    expect("an expiry", 9).await;
    shop.hold_shortly("swept", "tee", 2).await;
    expect("a reserve", 7).await;
    h.pass_time(PAST_SHORT).await;
    shop.sweep(10).await;
    expect("a sweep", 9).await;
    shop.hold_shortly("late", "tee", 2).await;
    expect("a reserve", 7).await;
    h.pass_time(PAST_SHORT).await;
    assert!(shop.step("late", Transition::Confirm).await.is_err());
    expect("confirming too late", 9).await;
    for (name, last, available) in [("c", Transition::Cancel, 9), ("f", Transition::Fulfil, 6)] {
        shop.hold(name, "tee", 3).await;
        expect("a reserve", 6).await;
        shop.must(name, Transition::Confirm).await;
        publish_all(outbox.as_ref()).await;
        shop.must(name, last).await;
        expect("the end of a confirmed reservation", available).await;
    }
}

pub(super) async fn it_is_bounded_by_the_number_of_skus<H: OutboxHarness>(h: H) {
    let shop = Shop::open(&h, &[("cap", 500), ("mug", 500), ("tee", 500)]).await;
    for n in 0..40 {
        let lines = ["cap", "mug", "tee"].map(|of| line(of, 1));
        shop.grant(&wants(&format!("r{n}"), lines)).await;
    }
    let changes = unpublished(h.outbox().as_ref()).await;
    let counts: Vec<_> = changes
        .iter()
        .map(|c| (c.sku.as_str(), c.new_stock_count))
        .collect();
    assert_eq!(
        counts,
        [("cap", 460), ("mug", 460), ("tee", 460)],
        "after 123 changes"
    );
}

pub(super) async fn pages_are_whole<H: OutboxHarness>(h: H) {
    let shop = Shop::open(&h, &[]).await;
    let outbox = h.outbox();
    for n in 0..12 {
        shop.receive(&format!("sku-{:02}", n * 5 % 12), 1).await;
    }
    mark(
        outbox.as_ref(),
        &[(sku("sku-03"), shop.stock("sku-03").await.version())],
    )
    .await;
    let expected: Vec<Sku> = (0..12)
        .filter(|n| *n != 3)
        .map(|n| sku(&format!("sku-{n:02}")))
        .collect();
    for limit in [1, 2, 5, 11, 12, 100] {
        let pages = pass(outbox.as_ref(), limit).await;
        let changes = pages.iter().flat_map(|page| &page.changes);
        let mut seen: Vec<Sku> = changes.map(|change| change.sku.clone()).collect();
        seen.sort();
        assert_eq!(seen, expected, "SKUs in pages of {limit}");
    }
}

pub(super) async fn an_older_mark_leaves_the_newer_version<H: OutboxHarness>(h: H) {
    let shop = Shop::open(&h, &[("tee", 5)]).await;
    let outbox = h.outbox();
    let first = shop.stock("tee").await.version();
    shop.hold("r", "tee", 1).await;
    mark(outbox.as_ref(), &[(sku("tee"), first)]).await;
    let changes = unpublished(outbox.as_ref()).await;
    let counts: Vec<u64> = changes
        .iter()
        .map(|change| change.new_stock_count)
        .collect();
    assert_eq!(
        counts,
        [4],
        "the SKU changed after the version that is marked, and is still to be published"
    );
}

pub(super) async fn marks_may_be_repeated_and_late<H: OutboxHarness>(h: H) {
    let shop = Shop::open(&h, &[("tee", 5)]).await;
    let outbox = h.outbox();
    let first = shop.stock("tee").await.version();
    shop.hold("r", "tee", 1).await;
    let second = shop.stock("tee").await.version();
    let marks = [
        (sku("tee"), second),
        (sku("tee"), second),
        (sku("tee"), first),
    ];
    mark(outbox.as_ref(), &marks).await;
    for published in marks {
        mark(outbox.as_ref(), &[published]).await;
        assert_eq!(
            unpublished(outbox.as_ref()).await,
            [],
            "a late mark undid a newer one"
        );
    }
    mark(outbox.as_ref(), &[]).await;
    mark(outbox.as_ref(), &[(sku("nothing"), first)]).await;
    assert_eq!(unpublished(outbox.as_ref()).await, []);
    shop.ledger().await;
}

/// Versions that writers were told of, or a relay published.
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

/// One pass of a relay. What writers were told before it has to be published after it.
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

pub(super) async fn complete_as_of_is_before_what_is_missing<H: OutboxHarness>(h: H) {
    let shop = Shop::open(&h, &[]).await;
    let outbox = h.outbox();
    let mut last = Timestamp::EPOCH;
    for n in 0..20 {
        let change = shop.receive(&format!("sku-{}", n % 4), 1).await;
        h.pass_time(std::time::Duration::from_millis(2)).await;
        let page = page(outbox.as_ref(), None, 100).await;
        let time = page.complete_as_of;
        assert!(
            time > change.movement.at,
            "what was answered before the page is in it, so it is complete as of a later time: \
             {time} after a change at {}",
            change.movement.at
        );
        assert!(
            time >= last,
            "complete as of {last}, and later as of {time}"
        );
        last = time;
        h.pass_time(std::time::Duration::from_millis(2)).await;
        let missing = shop.receive("sku-0", 1).await;
        assert!(
            missing.movement.at >= time,
            "a page said that it is complete as of {time}, and a change at {} came after it",
            missing.movement.at
        );
        publish_all(outbox.as_ref()).await;
    }
}
