//! The outbox has the newest state of each changed SKU, and misses none.

use std::time::Duration;

use stockade_change_feed::Timestamp;
use stockade_inventory_core::{
    Cursor, OutboxPage, Sku, StockChanged, StockOutbox, Transition, Version,
};

use super::OutboxHarness;
use super::shop::{PAST_SHORT, Shop, at_most, line, sku, wants};

pub(super) async fn page(
    outbox: &dyn StockOutbox,
    after: Option<&Cursor>,
    limit: usize,
) -> OutboxPage {
    let page = outbox.unpublished(after, at_most(limit)).await;
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

pub(super) async fn unpublished(outbox: &dyn StockOutbox) -> Vec<StockChanged> {
    let pages = pass(outbox, 100).await.into_iter();
    let mut changes: Vec<_> = pages.flat_map(|page| page.changes).collect();
    changes.sort_by(|a, b| a.sku.cmp(&b.sku));
    changes
}

pub(super) async fn mark(outbox: &dyn StockOutbox, published: &[(Sku, Version)]) {
    let marked = outbox.mark_published(published).await;
    marked.unwrap_or_else(|error| panic!("marking as published failed: {error}"));
}

/// Marks everything as published that is not yet.
pub(super) async fn publish_all(outbox: &dyn StockOutbox) {
    let published: Vec<_> = unpublished(outbox)
        .await
        .into_iter()
        .map(versioned)
        .collect();
    mark(outbox, &published).await;
}

pub(super) fn versioned(change: StockChanged) -> (Sku, Version) {
    (change.sku, change.version)
}

pub(super) async fn the_outbox_has_the_newest_state<H: OutboxHarness>(h: H) {
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

pub(super) async fn a_marked_sku_is_not_in_the_outbox_until_it_changes<H: OutboxHarness>(h: H) {
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

pub(super) async fn every_kind_of_change_is_unpublished<H: OutboxHarness>(h: H) {
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

pub(super) async fn the_outbox_is_bounded_by_the_number_of_skus<H: OutboxHarness>(h: H) {
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

pub(super) async fn pages_have_every_unpublished_sku<H: OutboxHarness>(h: H) {
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
        "the SKU changed after the version that is marked, and must stay unpublished"
    );
}

pub(super) async fn a_mark_covers_all_locations<H: OutboxHarness>(h: H) {
    let shop = Shop::open(&h, &[]).await;
    let [first, second] = h.locations();
    for location in [&first, &first, &second] {
        shop.receive_at("tee", location, 1).await;
    }
    let outbox = h.outbox();
    let before = shop.stock("tee").await.version();
    // The level at the second location has a lower version than the SKU had before.
    shop.receive_at("tee", &second, 1).await;
    mark(outbox.as_ref(), &[(sku("tee"), before)]).await;
    let changes = unpublished(outbox.as_ref()).await;
    assert_eq!(
        changes.first().map(|change| change.new_stock_count),
        Some(4),
        "the SKU changed at another location after the version that is marked"
    );
    mark(
        outbox.as_ref(),
        &[(sku("tee"), shop.stock("tee").await.version())],
    )
    .await;
    assert_eq!(unpublished(outbox.as_ref()).await, []);
}

pub(super) async fn repeated_and_late_marks_change_nothing<H: OutboxHarness>(h: H) {
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
            "a late mark removed a newer one"
        );
    }
    mark(outbox.as_ref(), &[]).await;
    mark(outbox.as_ref(), &[(sku("nothing"), first)]).await;
    assert_eq!(unpublished(outbox.as_ref()).await, []);
    shop.ledger().await;
}

pub(super) async fn complete_as_of_is_before_every_missing_change<H: OutboxHarness>(h: H) {
    let shop = Shop::open(&h, &[]).await;
    let outbox = h.outbox();
    let margin = h.clock_margin();
    let mut last = Timestamp::EPOCH;
    for n in 0..20 {
        let change = shop.receive(&format!("sku-{}", n % 4), 1).await;
        h.pass_time(Duration::from_millis(2)).await;
        let page = page(outbox.as_ref(), None, 100).await;
        let time = page.complete_as_of;
        assert!(
            time.plus(margin) > change.movement.at,
            "complete_as_of is {time}, earlier by more than the margin of {margin:?} than the \
             page, which was read after a change at {}",
            change.movement.at
        );
        assert!(
            time >= last,
            "complete_as_of decreases, from {last} to {time}"
        );
        last = time;
        h.pass_time(Duration::from_millis(2)).await;
        let missing = shop.receive("sku-0", 1).await;
        assert!(
            missing.movement.at >= time,
            "a page is complete as of {time}, but a change at {} was committed after it",
            missing.movement.at
        );
        publish_all(outbox.as_ref()).await;
    }
}

pub(super) async fn reading_removes_nothing_from_the_outbox<H: OutboxHarness>(h: H) {
    let shop = Shop::open(&h, &[("cap", 1), ("tee", 5)]).await;
    shop.hold("r", "tee", 1).await;
    let outbox = h.outbox();
    let first = unpublished(outbox.as_ref()).await;
    assert_eq!(first.len(), 2);
    for _ in 0..2 {
        assert_eq!(
            unpublished(outbox.as_ref()).await,
            first,
            "SKUs that were read but not marked must stay unpublished"
        );
    }
}
