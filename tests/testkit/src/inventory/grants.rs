//! Grants, one caller at a time.

use stockade_change_feed::Timestamp;
use stockade_inventory_core::{
    Durability, Effect, InventoryError, LocationId, ReservationState, ReservedLine, Shortage,
    StockChange, Transition,
};

use super::InventoryHarness;
use super::shop::{SHORT, Shop, adjustment, id, line, short_lived, sku, units, want, wants};

pub(super) async fn grants_open_units<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[("tee", 5)]).await;
    let granted = shop.reserve(&want("r", "tee", 3)).await;
    let granted = granted.unwrap_or_else(|error| panic!("3 of 5 units were refused: {error}"));
    assert_eq!(granted.effect, Effect::Applied);
    assert_eq!(granted.durability, Durability::Committed);
    let reservation = granted.reservation;
    assert_eq!(reservation.id, id("r"));
    assert_eq!(reservation.state, ReservationState::Held);
    assert_eq!(reservation.owner.as_str(), "ann");
    let expected = ReservedLine {
        sku: sku("tee"),
        location: LocationId::default(),
        quantity: units(3),
    };
    assert_eq!(reservation.lines, [expected]);
    assert_eq!(shop.reservation("r").await, reservation);
    assert_eq!(shop.counts("tee").await, (5, 3));
    assert_eq!(shop.stock("tee").await.available(), 2);
    shop.ledger().await;
}

pub(super) async fn grants_the_last_unit_and_no_more<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[("tee", 3)]).await;
    shop.hold("all", "tee", 3).await;
    let refused = shop.reserve(&want("more", "tee", 1)).await;
    assert_short(&refused, &[Shortage::new(sku("tee"), None, 1, 0)]);
    assert_eq!(shop.counts("tee").await, (3, 3));
    shop.ledger().await;
}

pub(super) async fn refuses_more_than_there_is_and_changes_nothing<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[("tee", 2)]).await;
    let before = shop.stock("tee").await;
    let refused = shop.reserve(&want("r", "tee", 3)).await;
    assert_short(&refused, &[Shortage::new(sku("tee"), None, 3, 2)]);
    assert_eq!(shop.stock("tee").await, before, "a refusal changed stock");
    assert_unknown(&shop, "r").await;
    shop.ledger().await;
}

pub(super) async fn grants_all_lines_or_none<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[("cap", 9), ("mug", 1), ("tee", 9)]).await;
    let lines = [line("cap", 2), line("mug", 2), line("tee", 2)];
    let refused = shop.reserve(&wants("r", lines)).await;
    assert_short(&refused, &[Shortage::new(sku("mug"), None, 2, 1)]);
    for of in ["cap", "mug", "tee"] {
        let (_, reserved) = shop.counts(of).await;
        assert_eq!(reserved, 0, "a refused reservation holds units of {of}");
    }
    assert_unknown(&shop, "r").await;

    let granted = shop
        .grant(&wants("s", [line("tee", 2), line("cap", 3)]))
        .await;
    let held: Vec<_> = granted
        .lines
        .iter()
        .map(|l| (l.sku.as_str(), l.quantity.get()))
        .collect();
    assert_eq!(
        held,
        [("cap", 3), ("tee", 2)],
        "lines are in the order of their SKUs"
    );
    shop.ledger().await;
}

pub(super) async fn names_every_short_line<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[("cap", 1), ("mug", 5), ("tee", 2)]).await;
    let lines = [line("tee", 3), line("mug", 5), line("cap", 4)];
    let refused = shop.reserve(&wants("r", lines)).await;
    let expected = [
        Shortage::new(sku("cap"), None, 4, 1),
        Shortage::new(sku("tee"), None, 3, 2),
    ];
    assert_short(&refused, &expected);
    shop.ledger().await;
}

pub(super) async fn adds_up_lines_of_one_sku<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[("tee", 3)]).await;
    let refused = shop
        .reserve(&wants("r", [line("tee", 2), line("tee", 2)]))
        .await;
    assert_short(&refused, &[Shortage::new(sku("tee"), None, 4, 3)]);
    let granted = shop
        .grant(&wants("s", [line("tee", 1), line("tee", 2)]))
        .await;
    assert_eq!(granted.lines.len(), 1);
    assert_eq!(shop.counts("tee").await, (3, 3));
    shop.ledger().await;
}

pub(super) async fn names_every_unknown_sku<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[("tee", 3)]).await;
    let lines = [line("tee", 1), line("nothing", 1), line("nowhere", 1)];
    let refused = shop.reserve(&wants("r", lines)).await;
    match &refused {
        Err(InventoryError::UnknownSku { skus }) => {
            let mut skus = skus.clone();
            skus.sort();
            assert_eq!(skus, [sku("nothing"), sku("nowhere")]);
        }
        other => panic!("two SKUs are unknown, but the outcome is {other:?}"),
    }
    assert_eq!(shop.counts("tee").await, (3, 0));
    let [_, elsewhere] = h.locations();
    let refused = shop
        .reserve(&wants("r", [line("tee", 1).at(elsewhere)]))
        .await;
    assert!(
        matches!(&refused, Err(InventoryError::UnknownSku { skus }) if *skus == [sku("tee")]),
        "the named location has no level, but the outcome is {refused:?}"
    );
    shop.ledger().await;
}

pub(super) async fn takes_the_first_location_that_holds_all<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[]).await;
    let [first, second] = h.locations();
    shop.receive_at("tee", &second, 5).await;
    shop.receive_at("tee", &first, 2).await;
    let from = async |reservation, quantity| {
        let granted = shop.hold(reservation, "tee", quantity).await;
        granted.lines[0].location.clone()
    };
    assert_eq!(
        from("a", 3).await,
        second,
        "only the second location holds 3 units"
    );
    assert_eq!(
        from("b", 2).await,
        first,
        "both locations have 2 units, and the first one is taken"
    );
    let refused = shop.reserve(&want("c", "tee", 3)).await;
    assert_short(&refused, &[Shortage::new(sku("tee"), None, 3, 2)]);
    let stock = shop.stock("tee").await;
    assert_eq!((stock.physical(), stock.reserved()), (7, 5));
    shop.ledger().await;
}

pub(super) async fn takes_from_a_named_location_only<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[]).await;
    let [first, second] = h.locations();
    shop.receive_at("tee", &first, 5).await;
    shop.receive_at("tee", &second, 1).await;
    let there = |quantity| line("tee", quantity).at(second.clone());
    let refused = shop.reserve(&wants("r", [there(2)])).await;
    let expected = Shortage::new(sku("tee"), Some(second.clone()), 2, 1);
    assert_short(&refused, &[expected]);
    let granted = shop.grant(&wants("r", [there(1)])).await;
    assert_eq!(granted.lines[0].location, second);
    shop.ledger().await;
}

pub(super) async fn takes_one_sku_from_two_named_locations<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[]).await;
    for location in h.locations() {
        shop.receive_at("tee", &location, 2).await;
    }
    let each = |quantity| {
        h.locations()
            .map(|location| line("tee", quantity).at(location))
    };
    let [first, second] = h.locations();
    let granted = shop.grant(&wants("r", each(2))).await;
    assert_eq!(granted.lines.len(), 2);
    let refused = shop.reserve(&wants("s", each(1))).await;
    let mut expected = [
        Shortage::new(sku("tee"), Some(first), 1, 0),
        Shortage::new(sku("tee"), Some(second), 1, 0),
    ];
    expected.sort_by(|a, b| a.location.cmp(&b.location));
    assert_short(&refused, &expected);
    shop.ledger().await;
}

pub(super) async fn a_batch_is_decided_one_by_one<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[("tee", 2)]).await;
    let requests = ["a", "b", "c"].map(|reservation| want(reservation, "tee", 1));
    let outcomes = shop.reserve_all(&requests).await;
    let granted: Vec<bool> = outcomes.iter().map(Result::is_ok).collect();
    assert_eq!(
        granted,
        [true, true, false],
        "two units serve the first two of a batch of three: {outcomes:?}"
    );
    assert_short(&outcomes[2], &[Shortage::new(sku("tee"), None, 1, 0)]);
    shop.ledger().await;
}

pub(super) async fn each_request_of_a_batch_has_its_own_outcome<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[("cap", 1), ("tee", 3)]).await;
    let requests = [
        want("unknown", "nothing", 1),
        want("a", "tee", 2),
        wants("short", [line("cap", 1), line("tee", 2)]),
        want("b", "cap", 1),
    ];
    let outcomes = shop.reserve_all(&requests).await;
    let unknown = &outcomes[0];
    assert!(
        matches!(unknown, Err(InventoryError::UnknownSku { .. })),
        "{unknown:?}"
    );
    assert_short(&outcomes[2], &[Shortage::new(sku("tee"), None, 2, 1)]);
    for (at, reservation) in [(1, "a"), (3, "b")] {
        let outcome = outcomes[at].as_ref();
        let granted = outcome.unwrap_or_else(|error| {
            panic!("{reservation} is refused because of other requests in the batch: {error}")
        });
        assert_eq!(
            granted.reservation.id,
            id(reservation),
            "outcomes are in order"
        );
    }
    shop.ledger().await;
}

pub(super) async fn one_id_may_come_twice_in_a_batch<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[("tee", 5)]).await;
    let requests = [
        want("r", "tee", 2),
        want("r", "tee", 2),
        want("r", "tee", 1),
    ];
    let outcomes = shop.reserve_all(&requests).await;
    let effect = |at: usize| outcomes[at].as_ref().map(|granted| granted.effect).ok();
    assert_eq!(effect(0), Some(Effect::Applied), "{outcomes:?}");
    assert_eq!(effect(1), Some(Effect::Repeated), "{outcomes:?}");
    let conflict = &outcomes[2];
    assert!(
        matches!(conflict, Err(InventoryError::ReservationConflict { .. })),
        "{conflict:?}"
    );
    assert_eq!(shop.counts("tee").await, (5, 2));
    shop.ledger().await;
}

pub(super) async fn an_empty_batch_has_no_outcomes<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[]).await;
    assert!(shop.reserve_all(&[]).await.is_empty());
    assert!(shop.adjust_all(&[]).await.is_empty());
    assert!(shop.expire_all(&[]).await.is_empty());
    let stock = shop.store.stock(&[]).await;
    assert!(stock.is_ok_and(|stock| stock.is_empty()));
}

pub(super) async fn counts_the_deadline_from_the_grant<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[("tee", 2)]).await;
    let brief = shop
        .reserve(&want("brief", "tee", 1).with_ttl(short_lived()))
        .await;
    let brief = brief.unwrap_or_else(|error| panic!("one of two units was refused: {error}"));
    let reservation = &brief.reservation;
    assert_eq!(
        reservation.deadline.since(reservation.created_at),
        Some(SHORT)
    );
    assert_eq!(reservation.changed_at, reservation.created_at);
    assert!(brief.remaining <= SHORT && reservation.created_at > Timestamp::EPOCH);
    let usual = shop.hold("usual", "tee", 1).await;
    let ttl = usual.deadline.since(usual.created_at);
    assert_eq!(
        ttl.map(|ttl| ttl.as_secs()),
        Some(15 * 60),
        "15 minutes by default"
    );
    // A level that changed with the grant says so with the same clock.
    let changed_at = shop.stock("tee").await.changed_at();
    assert_eq!(changed_at, usual.created_at);
    let set = shop
        .adjust(&adjustment("later", "tee", StockChange::Set(7)))
        .await;
    assert!(set.is_ok_and(|set| set.movement.at >= usual.created_at));
}

/// A refusal with these shortages, in the order of SKU and location.
fn assert_short<T: std::fmt::Debug>(outcome: &Result<T, InventoryError>, expected: &[Shortage]) {
    match outcome {
        Err(InventoryError::Insufficient { shortages }) => {
            let mut shortages = shortages.clone();
            shortages.sort_by(|a, b| (&a.sku, &a.location).cmp(&(&b.sku, &b.location)));
            assert_eq!(
                shortages, expected,
                "the returned shortages (left) and the expected ones"
            );
        }
        other => panic!("too little stock for the request, but the outcome is {other:?}"),
    }
}

async fn assert_unknown(shop: &Shop, reservation: &str) {
    let found = shop.store.reservation(&id(reservation)).await;
    assert!(
        matches!(found, Err(InventoryError::UnknownReservation { .. })),
        "a refused reservation was stored: {found:?}"
    );
}

pub(super) async fn twenty_lines_are_granted_together<H: InventoryHarness>(h: H) {
    let names: Vec<String> = (0..20).map(|n| format!("sku-{n:02}")).collect();
    let stock: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), 5)).collect();
    let shop = Shop::open(&h, &stock).await;
    let request = wants("r", names.iter().map(|name| line(name, 2)));
    assert_eq!(shop.grant(&request).await.lines.len(), 20);
    shop.must("r", Transition::Confirm).await;
    shop.must("r", Transition::Fulfil).await;
    for name in &names {
        assert_eq!(
            shop.counts(name).await,
            (3, 0),
            "2 of 5 units of {name} left"
        );
    }
    shop.ledger().await;
}
