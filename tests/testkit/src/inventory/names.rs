//! Every valid name is kept unchanged, and differs from every other name.

use std::collections::BTreeSet;

use stockade_inventory_core::{
    ActingFor, Adjustment, Line, Lines, Movement, MovementCause, OwnerId, Reason, ReservationId,
    ReserveRequest, Sku, SkuStock, StockChange, Transition, TransitionRequest,
};

use super::InventoryHarness;
use super::ledger::{all_movements, all_stock};
use super::shop::{Shop, line, operation, owner, place, reason, receive, sku, units, wants};

/// Valid names with characters that are special to databases, key spaces, shells or file systems.
pub(super) const ODD: [&str; 20] = [
    "it's \"quoted\" `here`",
    "100%",
    "a_b",
    "a:b:c",
    "a/b/../c",
    "a\\b",
    "{a}",
    "*?[x]",
    "$1 ${HOME}",
    "'; DROP TABLE stock; --",
    "null",
    "0",
    "-1",
    "a,b;c|d",
    "two  spaces",
    "naïve café",
    "Ünïcødé ß",
    "帽子",
    "🧢👕",
    "مقاس كبير",
];

pub(super) async fn text_is_kept_unchanged<H: InventoryHarness>(h: H) {
    let shop = Shop::new(h.store());
    for text in ODD {
        keeps(&shop, text, text, text).await;
    }
    let known: Vec<String> = skus(&shop).await;
    assert_eq!(
        known.len(),
        ODD.len(),
        "each name is a SKU of its own: {known:?}"
    );
    shop.ledger().await;
}

pub(super) async fn the_longest_names_fit<H: InventoryHarness>(h: H) {
    let shop = Shop::new(h.store());
    // 128 bytes of one, two and four each.
    for letter in ["x", "é", "🧢"] {
        let long = |bytes: usize| letter.repeat(bytes / letter.len());
        keeps(&shop, &long(128), &long(64), &long(256)).await;
    }
    shop.ledger().await;
}

/// Uses a text as every kind of name, and expects it back.
async fn keeps(shop: &Shop, text: &str, location: &str, why: &str) {
    let (sku, location) = (sku(text), place(location));
    let received = Adjustment::new(operation(text), sku.clone(), receive(3), reason(why));
    let received = shop.adjust(&received.at(location.clone())).await;
    let received = received.unwrap_or_else(|error| panic!("receiving {text:?} failed: {error}"));
    assert_eq!(
        (&received.level.sku, &received.level.location),
        (&sku, &location)
    );

    let id = ReservationId::new(text).expect("cases use valid ids");
    let lines = [Line::new(sku.clone(), units(2)).at(location.clone())];
    let lines = Lines::new(lines).expect("one line");
    let request = ReserveRequest::new(id.clone(), owner(text), lines);
    shop.grant(&request).await;
    let acting_for = ActingFor::Owner(owner(text));
    let (transition, id) = (Transition::Confirm, id.clone());
    let confirm = TransitionRequest {
        id: id.clone(),
        transition,
        acting_for,
    };
    let confirmed = shop.store.transition(&confirm).await;
    let confirmed = confirmed.unwrap_or_else(|error| panic!("confirming {text:?} failed: {error}"));
    let found = shop.store.reservation(&id).await;
    let found = found.unwrap_or_else(|error| panic!("reading {text:?} failed: {error}"));
    assert_eq!(found, confirmed.reservation);
    assert_eq!((&found.id, found.owner.as_str()), (&id, text));
    assert_eq!(
        (&found.lines[0].sku, &found.lines[0].location),
        (&sku, &location)
    );

    let movements = all_movements(shop.store.as_ref(), &sku).await;
    let causes: Vec<_> = movements
        .into_iter()
        .map(|Movement { cause, .. }| cause)
        .collect();
    let adjusted = MovementCause::Adjusted {
        operation: operation(text),
        change: StockChange::Receive(units(3)),
        reason: Reason::new(why).expect("cases use valid reasons"),
    };
    assert_eq!(causes, [adjusted, MovementCause::Reserved(id)]);
}

pub(super) async fn similar_names_are_different<H: InventoryHarness>(h: H) {
    let shop = Shop::new(h.store());
    // By case, by a pattern's wildcards, by normalization, by a separator, by width.
    let similar = [
        "tee",
        "TEE",
        "Tee",
        "t_e",
        "t%",
        "te",
        "tee:",
        ":tee",
        "caf\u{e9}",
        "cafe\u{301}",
        "cafe",
        "1",
        "01",
        "1.0",
        "ｔｅｅ",
    ];
    for (text, quantity) in similar.into_iter().zip(1..) {
        shop.receive(text, quantity).await;
    }
    for (text, quantity) in similar.into_iter().zip(1..) {
        let (physical, _) = shop.counts(text).await;
        assert_eq!(
            physical, quantity,
            "{text:?} shares its stock with a similar name"
        );
    }
    // Both are "a:b:c" to who joins them by a colon.
    shop.receive_at("a:b", &place("c"), 100).await;
    shop.receive_at("a", &place("b:c"), 200).await;
    assert_eq!(shop.counts("a:b").await, (100, 0));
    assert_eq!(shop.counts("a").await, (200, 0));
    for text in similar {
        shop.grant(&wants(&format!("r-{text}"), [line(text, 1)]))
            .await;
        let mut other = wants(&format!("s-{text}"), [line("a", 1)]);
        other.owner = OwnerId::new(text).expect("cases use valid owners");
        shop.grant(&other).await;
    }
    assert_eq!(shop.counts("a").await, (200, similar.len() as u64));
    shop.ledger().await;
}

pub(super) async fn names_are_compared_by_their_bytes<H: InventoryHarness>(h: H) {
    let shop = Shop::new(h.store());
    let odd = ODD
        .into_iter()
        .chain(["B", "a", "b", "Z", "ä", "z", "_", "~", "A b", "A-b", "Ab"]);
    for text in odd {
        shop.receive(text, 1).await;
    }
    let expected: BTreeSet<String> = ODD
        .into_iter()
        .chain(["B", "a", "b", "Z", "ä", "z", "_", "~", "A b", "A-b", "Ab"])
        .map(str::to_owned)
        .collect();
    let scanned: Vec<String> = skus(&shop).await;
    assert_eq!(scanned.len(), ODD.len() + 11, "each name once: {scanned:?}");
    assert_eq!(scanned.into_iter().collect::<BTreeSet<_>>(), expected);
    shop.ledger().await;
}

async fn skus(shop: &Shop) -> Vec<String> {
    let stock = all_stock(shop.store.as_ref()).await;
    stock
        .iter()
        .map(|stock: &SkuStock| Sku::to_string(stock.sku()))
        .collect()
}
