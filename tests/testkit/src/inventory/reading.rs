//! Readers see whole snapshots, pages and movements.

use std::collections::{BTreeMap, BTreeSet};

use stockade_inventory_core::{
    Cursor, Expiry, InventoryError, Movement, MovementCause, Sku, SkuStock, StockChange, Transition,
};

use super::InventoryHarness;
use super::ledger::{all_movements, movements_in_pages};
use super::shop::{
    PAST_SHORT, Shop, adjustment, at_most, id, operation, reason, receive, sku, want,
};

pub(super) async fn stock_is_returned_in_the_requested_order<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[("cap", 1), ("mug", 2), ("tee", 3)]).await;
    let asked = ["tee", "nothing", "cap", "tee", "mug"].map(sku);
    let stock = shop.store.stock(&asked).await;
    let stock = stock.unwrap_or_else(|error| panic!("reading stock failed: {error}"));
    let physical: Vec<_> = stock
        .iter()
        .map(|stock| stock.as_ref().map(SkuStock::physical))
        .collect();
    assert_eq!(physical, [Some(3), None, Some(1), Some(3), Some(2)]);
}

pub(super) async fn scan_returns_every_sku_whole_and_once<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[]).await;
    let empty = shop.store.scan(None, at_most(10)).await;
    assert!(
        empty.is_ok_and(|page| page.stock.is_empty()),
        "a scan of nothing"
    );
    let names: Vec<String> = (0..25).map(|n| format!("sku-{:02}", n * 7 % 25)).collect();
    for name in &names {
        shop.receive(name, 1).await;
        for location in h.locations() {
            shop.receive_at(name, &location, 2).await;
        }
    }
    let mut expected: Vec<Sku> = names.iter().map(|name| sku(name)).collect();
    expected.sort();
    for limit in [1, 2, 7, 25, 1000] {
        let scanned = scan(&shop, limit).await;
        let mut seen: Vec<Sku> = scanned.iter().map(|stock| stock.sku().clone()).collect();
        seen.sort();
        assert_eq!(seen, expected, "SKUs in pages of {limit}");
        let whole = scanned
            .iter()
            .all(|stock| (stock.levels().len(), stock.physical()) == (3, 5));
        assert!(
            whole,
            "a scan in pages of {limit} split the levels of a SKU: {scanned:?}"
        );
    }
}

async fn scan(shop: &Shop, limit: usize) -> Vec<SkuStock> {
    let mut all: Vec<SkuStock> = Vec::new();
    let mut after = None;
    loop {
        let page = shop.store.scan(after.as_ref(), at_most(limit)).await;
        let page = page.unwrap_or_else(|error| panic!("a scan failed: {error}"));
        let found = page.stock.len();
        assert!(found <= limit, "a page of at most {limit} SKUs has {found}");
        all.extend(page.stock);
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
}

pub(super) async fn scan_misses_nothing_while_stock_changes<H: InventoryHarness>(h: H) {
    let stable: Vec<String> = (0..20).map(|n| format!("sku-{n:02}")).collect();
    let stock: Vec<(&str, u64)> = stable.iter().map(|name| (name.as_str(), 50)).collect();
    let shop = Shop::open(&h, &stock).await;
    let writing = async {
        for n in 0..60 {
            shop.receive(&format!("sku-{:02}-new", n % 20), 1).await;
            shop.hold(&format!("r{n}"), &stable[n % 20], 1).await;
        }
    };
    let scanning = async {
        for _ in 0..10 {
            let scanned = scan(&shop, 3).await;
            let seen: Vec<&str> = scanned.iter().map(|stock| stock.sku().as_str()).collect();
            let distinct: BTreeSet<&str> = seen.iter().copied().collect();
            assert_eq!(
                seen.len(),
                distinct.len(),
                "a scan saw a SKU twice: {seen:?}"
            );
            let missed: Vec<_> = stable
                .iter()
                .filter(|name| !distinct.contains(name.as_str()))
                .collect();
            assert!(
                missed.is_empty(),
                "a scan missed SKUs that existed all the time: {missed:?}"
            );
        }
    };
    futures::join!(writing, scanning);
    shop.ledger().await;
}

pub(super) async fn movements_have_their_cause<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[]).await;
    assert_eq!(
        all_movements(shop.store.as_ref(), &sku("tee")).await,
        [],
        "of an unknown SKU"
    );
    let change = receive(9);
    assert!(shop.adjust(&adjustment("op", "tee", change)).await.is_ok());
    shop.hold_shortly("expired", "tee", 1).await;
    h.pass_time(PAST_SHORT).await;
    shop.expire("expired").await;
    shop.hold("released", "tee", 2).await;
    shop.must("released", Transition::Release).await;
    for (name, last) in [
        ("shipped", Transition::Fulfil),
        ("cancelled", Transition::Cancel),
    ] {
        shop.hold(name, "tee", 3).await;
        shop.must(name, Transition::Confirm).await;
        shop.must(name, last).await;
    }
    let movements = all_movements(shop.store.as_ref(), &sku("tee")).await;
    let told: Vec<_> = movements
        .iter()
        .map(|m| {
            (
                m.cause.clone(),
                m.delta.physical,
                m.delta.reserved,
                m.delta.escrowed,
            )
        })
        .collect();
    let operation = operation("op");
    let reason = reason("counted");
    use MovementCause::{Adjusted, Cancelled, Expired, Fulfilled, Released, Reserved};
    let expected = [
        (
            Adjusted {
                operation,
                change,
                reason,
            },
            9,
            0,
            0,
        ),
        (Reserved(id("expired")), 0, 1, 0),
        (Expired(id("expired")), 0, -1, 0),
        (Reserved(id("released")), 0, 2, 0),
        (Released(id("released")), 0, -2, 0),
        (Reserved(id("shipped")), 0, 3, 0),
        (Fulfilled(id("shipped")), -3, -3, 0),
        (Reserved(id("cancelled")), 0, 3, 0),
        (Cancelled(id("cancelled")), 0, -3, 0),
    ];
    assert_eq!(told, expected);
    shop.ledger().await;
}

pub(super) async fn movements_come_in_pages<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[("other", 1)]).await;
    for n in 0..12 {
        let location = h.locations()[n % 2].clone();
        shop.receive_at("tee", &location, 1 + n as u64).await;
    }
    let all = all_movements(shop.store.as_ref(), &sku("tee")).await;
    assert_eq!(all.len(), 12);
    for limit in [1, 2, 5, 12, 13] {
        let paged = movements_in_pages(shop.store.as_ref(), &sku("tee"), limit).await;
        assert_eq!(paged, all, "in pages of {limit}");
    }
    in_order(&all);
}

pub(super) async fn movements_in_pages_miss_nothing_while_stock_changes<H: InventoryHarness>(h: H) {
    const MOVEMENTS: usize = 60;
    let shop = Shop::open(&h, &[]).await;
    let writing = async {
        for n in 0..MOVEMENTS {
            let location = h.locations()[n % 2].clone();
            shop.receive_at("tee", &location, 1).await;
        }
    };
    let reading = async {
        for _ in 0..20 {
            in_order(&movements_in_pages(shop.store.as_ref(), &sku("tee"), 3).await);
        }
    };
    futures::join!(writing, reading);
    let all = all_movements(shop.store.as_ref(), &sku("tee")).await;
    assert_eq!(all.len(), MOVEMENTS);
    in_order(&all);
}

/// Movements of one location are in the order of their versions, without a gap.
fn in_order(movements: &[Movement]) {
    let mut last = BTreeMap::new();
    for movement in movements {
        if let Some(before) = last.insert(movement.location.clone(), movement.version.number) {
            assert_eq!(
                movement.version.number,
                before + 1,
                "movements at {} in order, none twice and none missing",
                movement.location
            );
        }
    }
}

pub(super) async fn a_foreign_cursor_is_refused<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[("tee", 1)]).await;
    let set = adjustment("op", "tee", StockChange::Set(2));
    assert!(shop.adjust(&set).await.is_ok());
    for text in [
        "",
        "no cursor",
        "'; --",
        "-1",
        "é%_",
        "99999999999999999999999999",
    ] {
        let cursor = Cursor(text.to_owned());
        let page = shop
            .store
            .movements(&sku("tee"), Some(&cursor), at_most(10))
            .await;
        assert!(
            matches!(page, Err(InventoryError::Invalid { .. })),
            "the store did not make the cursor {text:?}, but accepts it: {page:?}"
        );
    }
}

pub(super) async fn thousands_of_items_are_allowed_in_one_call<H: InventoryHarness>(h: H) {
    const MANY: usize = 2_500;
    let shop = Shop::open(&h, &[("last", 1), ("tee", 9)]).await;
    let mut skus: Vec<Sku> = (0..MANY).map(|n| sku(&format!("unknown-{n}"))).collect();
    skus.extend(["tee", "last"].map(sku));
    let stock = shop.store.stock(&skus).await;
    let stock = stock.unwrap_or_else(|error| {
        panic!(
            "reading the stock of {} SKUs in one call failed: {error}",
            skus.len()
        )
    });
    assert_eq!(stock.len(), skus.len(), "each SKU has an answer");
    let known: Vec<&str> = stock.iter().flatten().map(|it| it.sku().as_str()).collect();
    assert_eq!(known, ["tee", "last"]);

    shop.hold("held", "tee", 1).await;
    let mut ids: Vec<_> = (0..MANY).map(|n| id(&format!("unknown-{n}"))).collect();
    ids.push(id("held"));
    let expiries = shop.expire_all(&ids).await;
    let known: Vec<_> = expiries
        .iter()
        .filter(|expiry| !matches!(expiry, Ok(Expiry::Unknown)))
        .collect();
    assert!(
        matches!(known.as_slice(), [Ok(Expiry::NotDue { .. })]),
        "{} ids were expired in one call, of which one is held: {known:?}",
        ids.len()
    );

    let requests: Vec<_> = (0..MANY)
        .map(|n| want(&format!("r{n}"), "tee", 1))
        .collect();
    let granted = shop.reserve_all(&requests).await;
    let granted = granted.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(
        granted, 8,
        "grants of a batch of {MANY} requests, with 8 units"
    );
    shop.ledger().await;
}
