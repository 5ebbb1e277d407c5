//! Readers of a source of stock see what the system behind it has.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use stockade_inventory_core::{
    Counts, Cursor, InventoryError, LocationId, Sku, SkuStock, StockLevel, StockSource,
};

use super::SourceHarness;
use super::names::ODD;
use super::shop::{at_most, only, place, sku, units};
use crate::together;

/// The stock of one call that must succeed, with an answer for each SKU.
async fn read(source: &dyn StockSource, skus: &[Sku]) -> Vec<Option<SkuStock>> {
    let stock = source.stock(skus).await;
    let stock = stock
        .unwrap_or_else(|error| panic!("reading the stock of {} SKUs failed: {error}", skus.len()));
    assert_eq!(stock.len(), skus.len(), "each SKU has an answer");
    stock
}

async fn read_one(source: &dyn StockSource, of: &str) -> SkuStock {
    let stock = only(read(source, &[sku(of)]).await);
    stock.unwrap_or_else(|| panic!("{of} is unknown, and stock of it was received"))
}

async fn receive<H: SourceHarness>(h: &H, of: &str, quantity: u64) {
    h.receive(&sku(of), &LocationId::default(), units(quantity))
        .await;
}

fn level<'a>(stock: &'a SkuStock, at: &LocationId) -> &'a StockLevel {
    let level = stock.levels().iter().find(|level| level.location == *at);
    level.unwrap_or_else(|| panic!("{} has no level at {at}: {stock:?}", stock.sku()))
}

/// All SKUs, in pages of at most `limit`.
async fn scan(source: &dyn StockSource, limit: usize) -> Vec<SkuStock> {
    let mut all: Vec<SkuStock> = Vec::new();
    let mut after: Option<Cursor> = None;
    loop {
        let page = source.scan(after.as_ref(), at_most(limit)).await;
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

fn names(stock: &[SkuStock]) -> Vec<&str> {
    stock.iter().map(|stock| stock.sku().as_str()).collect()
}

pub(super) async fn stock_has_the_requested_order<H: SourceHarness>(h: H) {
    for (of, quantity) in [("cap", 1), ("mug", 2), ("tee", 3)] {
        receive(&h, of, quantity).await;
    }
    let asked = ["tee", "nothing", "cap", "tee", "mug"].map(sku);
    let stock = read(h.source().as_ref(), &asked).await;
    let physical: Vec<_> = stock
        .iter()
        .map(|stock| stock.as_ref().map(SkuStock::physical))
        .collect();
    assert_eq!(
        physical,
        [Some(3), None, Some(1), Some(3), Some(2)],
        "physical units of each requested SKU, in the order of the request"
    );
}

pub(super) async fn no_skus_have_no_stock<H: SourceHarness>(h: H) {
    receive(&h, "tee", 1).await;
    let stock = read(h.source().as_ref(), &[]).await;
    assert!(stock.is_empty());
}

pub(super) async fn levels_have_all_their_counts<H: SourceHarness>(h: H) {
    let source = h.source();
    let [first, second] = ["amsterdam", "berlin"].map(place);
    h.receive(&sku("tee"), &first, units(7)).await;
    h.receive(&sku("tee"), &second, units(5)).await;
    h.reserve(&sku("tee"), &second, units(2)).await;
    let stock = read_one(source.as_ref(), "tee").await;
    let counts = |at: &LocationId| level(&stock, at).counts;
    let expected = |physical, reserved| Counts::new(physical, reserved, 0).ok();
    assert_eq!(
        (
            Some(counts(&first)),
            Some(counts(&second)),
            stock.levels().len()
        ),
        (expected(7, 0), expected(5, 2), 2),
        "the counts at each location, and the number of locations"
    );
    let scanned = only(scan(source.as_ref(), 10).await);
    assert_eq!(scanned, stock, "a scan has the same stock");
}

pub(super) async fn counts_over_32_bits_are_exact<H: SourceHarness>(h: H) {
    const BATCH: u64 = 1_000_000_000;
    for batch in [BATCH, BATCH, BATCH, BATCH, BATCH - 1] {
        receive(&h, "tee", batch).await;
    }
    h.reserve(&sku("tee"), &LocationId::default(), units(BATCH - 7))
        .await;
    let stock = read_one(h.source().as_ref(), "tee").await;
    assert_eq!(
        (stock.physical(), stock.reserved()),
        (5 * BATCH - 1, BATCH - 7),
        "physical and reserved units"
    );
}

pub(super) async fn every_change_is_seen_by_the_next_call<H: SourceHarness>(h: H) {
    let source = h.source();
    let unknown = only(read(source.as_ref(), &[sku("tee")]).await);
    assert_eq!(unknown, None, "no stock was received yet");
    let mut before: Option<SkuStock> = None;
    for round in 1..=5 {
        receive(&h, "tee", 2).await;
        let received = read_one(source.as_ref(), "tee").await;
        assert_eq!(
            (received.physical(), received.reserved()),
            (2 * round, round - 1),
            "a change was made before the call, and the answer does not have it"
        );
        h.reserve(&sku("tee"), &LocationId::default(), units(1))
            .await;
        let reserved = read_one(source.as_ref(), "tee").await;
        assert_eq!(
            (reserved.physical(), reserved.reserved()),
            (2 * round, round),
            "a change was made before the call, and the answer does not have it"
        );
        for (earlier, later) in [(before.as_ref(), &received), (Some(&received), &reserved)] {
            let Some(earlier) = earlier else { continue };
            assert!(
                later.version() > earlier.version(),
                "each change raises the version: {} came after {}",
                later.version(),
                earlier.version()
            );
            assert!(
                later.changed_at() >= earlier.changed_at(),
                "the time of the last change does not decrease"
            );
        }
        before = Some(reserved);
    }
}

pub(super) async fn names_are_returned_unchanged<H: SourceHarness>(h: H) {
    let source = h.source();
    // Two of them differ by case only, and the longest has 128 bytes.
    let longest = "é".repeat(64);
    let mut texts: Vec<&str> = ODD.to_vec();
    texts.extend(["tee", "TEE", longest.as_str()]);
    for text in &texts {
        receive(&h, text, 1).await;
    }
    let asked: Vec<Sku> = texts.iter().map(|text| sku(text)).collect();
    let stock = read(source.as_ref(), &asked).await;
    for (text, stock) in texts.iter().zip(&stock) {
        let found = stock
            .as_ref()
            .map(|stock| (stock.sku().as_str(), stock.physical()));
        assert_eq!(found, Some((*text, 1)), "the stock of {text:?}");
    }
    let scanned = scan(source.as_ref(), 4).await;
    let scanned: BTreeSet<&str> = names(&scanned).into_iter().collect();
    assert_eq!(scanned, texts.iter().copied().collect(), "a scan has each");
}

pub(super) async fn thousands_of_skus_are_allowed<H: SourceHarness>(h: H) {
    receive(&h, "tee", 9).await;
    receive(&h, "last", 1).await;
    let mut asked: Vec<Sku> = vec![sku("tee")];
    asked.extend((0..2_500).map(|n| sku(&format!("unknown-{n}"))));
    asked.extend(["last", "tee"].map(sku));
    let stock = read(h.source().as_ref(), &asked).await;
    let known: Vec<_> = stock
        .iter()
        .enumerate()
        .filter_map(|(at, stock)| Some((at, stock.as_ref()?.physical())))
        .collect();
    assert_eq!(
        known,
        [(0, 9), (2_501, 1), (2_502, 9)],
        "positions and units of the known SKUs"
    );
    assert_eq!(
        stock.first(),
        stock.last(),
        "the same SKU, twice in one call, has one answer"
    );
}

pub(super) async fn calls_at_once_have_their_own_answers<H: SourceHarness>(h: H) {
    const CALLS: u64 = 40;
    let names: Vec<String> = (0..CALLS).map(|n| format!("sku-{n:02}")).collect();
    for (name, quantity) in names.iter().zip(1..) {
        receive(&h, name, quantity).await;
    }
    for _ in 0..5 {
        let calls = names.iter().map(|name| {
            let (source, asked): (Arc<dyn StockSource>, _) = (h.source(), sku(name));
            async move { only(read(source.as_ref(), &[asked]).await) }
        });
        let answers = together(calls.collect::<Vec<_>>()).await;
        for ((name, quantity), answer) in names.iter().zip(1..).zip(answers) {
            let found = answer.map(|stock| (stock.sku().to_string(), stock.physical()));
            assert_eq!(
                found,
                Some((name.clone(), quantity)),
                "the answer of the call for {name}"
            );
        }
    }
}

pub(super) async fn the_levels_of_a_sku_are_one_moment<H: SourceHarness>(h: H) {
    const ROUNDS: u64 = 60;
    let source = h.source();
    let [first, second] = ["amsterdam", "berlin"].map(place);
    for at in [&first, &second] {
        h.receive(&sku("tee"), at, units(ROUNDS)).await;
    }
    let writing = async {
        for _ in 0..ROUNDS {
            // Always first at the first location.
            h.reserve(&sku("tee"), &first, units(1)).await;
            tokio::task::yield_now().await;
            h.reserve(&sku("tee"), &second, units(1)).await;
            tokio::task::yield_now().await;
        }
    };
    let reading = async {
        loop {
            let stock = read_one(source.as_ref(), "tee").await;
            let scanned = scan(source.as_ref(), 10).await;
            for stock in scanned.iter().chain([&stock]) {
                let at = |location| level(stock, location).counts.reserved();
                let (first, second) = (at(&first), at(&second));
                assert!(
                    first == second || first == second + 1,
                    "units are reserved at the first location, then at the second, so {first} \
                     and {second} are from different moments"
                );
            }
            if stock.reserved() == 2 * ROUNDS {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    futures::join!(writing, reading);
}

pub(super) async fn a_scan_of_nothing_is_empty<H: SourceHarness>(h: H) {
    let page = h.source().scan(None, at_most(10)).await;
    let page = page.unwrap_or_else(|error| panic!("a scan failed: {error}"));
    assert_eq!((page.stock, page.next), (vec![], None));
}

pub(super) async fn a_scan_has_every_sku_whole_and_once<H: SourceHarness>(h: H) {
    let source = h.source();
    let expected: BTreeMap<String, u64> = (0..25)
        .map(|n| (format!("sku-{:02}", n * 7 % 25), 2 * n + 3))
        .collect();
    for (name, quantity) in &expected {
        for (at, quantity) in [("amsterdam", 1), ("berlin", quantity - 1)] {
            h.receive(&sku(name), &place(at), units(quantity)).await;
        }
    }
    for limit in [1, 2, 7, 25, 1_000, 100_000] {
        let scanned = scan(source.as_ref(), limit).await;
        assert_eq!(
            scanned.len(),
            expected.len(),
            "a scan in pages of {limit} has every SKU once: {:?}",
            names(&scanned)
        );
        let whole = scanned.iter().map(|stock| {
            assert_eq!(
                stock.levels().len(),
                2,
                "a scan in pages of {limit} split the levels of {}",
                stock.sku()
            );
            (stock.sku().to_string(), stock.physical())
        });
        assert_eq!(whole.collect::<BTreeMap<_, _>>(), expected);
    }
}

pub(super) async fn a_scan_misses_nothing_while_stock_changes<H: SourceHarness>(h: H) {
    let source = h.source();
    let stable: Vec<String> = (0..20).map(|n| format!("sku-{n:02}")).collect();
    for name in &stable {
        receive(&h, name, 10).await;
    }
    let writing = async {
        for n in 0..60 {
            receive(&h, &format!("sku-{:02}-new", n % 20), 1).await;
            h.reserve(&sku(&stable[n % 20]), &LocationId::default(), units(1))
                .await;
            tokio::task::yield_now().await;
        }
    };
    let scanning = async {
        for _ in 0..10 {
            let scanned = scan(source.as_ref(), 3).await;
            let seen = names(&scanned);
            let distinct: BTreeSet<&str> = seen.iter().copied().collect();
            assert_eq!(
                seen.len(),
                distinct.len(),
                "a scan saw a SKU twice: {seen:?}"
            );
            let mut stable = stable.iter();
            let missed = stable.find(|name| !distinct.contains(name.as_str()));
            assert_eq!(missed, None, "a SKU that existed all the time");
        }
    };
    futures::join!(writing, scanning);
}

pub(super) async fn a_cursor_from_elsewhere_is_refused<H: SourceHarness>(h: H) {
    receive(&h, "tee", 1).await;
    let source = h.source();
    // No source makes these: they are empty, and have control characters.
    for text in ["", "\u{0}\n"] {
        let cursor = Cursor(text.to_owned());
        let page = source.scan(Some(&cursor), at_most(10)).await;
        assert!(
            matches!(
                page,
                Err(InventoryError::Invalid {
                    field: "cursor",
                    ..
                })
            ),
            "the source did not make the cursor {text:?}, so it is invalid: {page:?}"
        );
    }
}
