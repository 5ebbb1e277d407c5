//! Receiving, correcting and setting stock.

use stockade_inventory_core::{
    Counts, Delta, Effect, InventoryError, LocationId, MovementCause, StockChange, Transition,
};

use super::InventoryHarness;
use super::shop::{Shop, adjustment, operation, reason, receive, sku, units};

pub(super) async fn receive_correct_and_set_change_the_physical_count<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[("tee", 10)]).await;
    let changes = [
        (receive(5), 5, 15),
        (StockChange::Correct(-4), -4, 11),
        (StockChange::Correct(2), 2, 13),
        (StockChange::Set(20), 7, 20),
        (StockChange::Set(1), -19, 1),
        (StockChange::Set(0), -1, 0),
    ];
    for (n, (change, by, physical)) in changes.into_iter().enumerate() {
        let asked = adjustment(&format!("op-{n}"), "tee", change);
        let adjusted = shop.adjust(&asked).await;
        let adjusted = adjusted.unwrap_or_else(|error| panic!("{change:?} failed: {error}"));
        assert_eq!(adjusted.effect, Effect::Applied);
        assert_eq!(
            adjusted.level.counts.physical(),
            physical,
            "after {change:?}"
        );
        let delta = Delta {
            physical: by,
            ..Delta::default()
        };
        assert_eq!(adjusted.movement.delta, delta, "of {change:?}");
        assert_eq!(adjusted.movement.version, adjusted.level.version);
        let cause = MovementCause::Adjusted {
            operation: operation(&format!("op-{n}")),
            change,
            reason: reason("counted"),
        };
        assert_eq!(adjusted.movement.cause, cause);
        assert_eq!(shop.stock("tee").await.levels(), [adjusted.level]);
    }
    shop.ledger().await;
}

pub(super) async fn the_first_adjustment_begins_a_level<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[]).await;
    let missing = shop
        .adjust(&adjustment("less", "tee", StockChange::Correct(-1)))
        .await;
    assert!(
        missing.is_err(),
        "removing one unit of a SKU without a level: {missing:?}"
    );
    let unknown = shop.store.stock(&[sku("tee")]).await;
    assert!(
        unknown.is_ok_and(|stock| stock == [None]),
        "a refused adjustment created a level"
    );
    let begun = shop
        .adjust(&adjustment("none", "tee", StockChange::Set(0)))
        .await;
    let begun = begun.unwrap_or_else(|error| panic!("setting stock to 0 failed: {error}"));
    assert_eq!(begun.level.location, LocationId::default());
    let stock = shop.stock("tee").await;
    assert_eq!(
        (stock.physical(), stock.available()),
        (0, 0),
        "the SKU is known and has no units"
    );
    shop.ledger().await;
}

pub(super) async fn levels_are_kept_by_location<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[]).await;
    let [first, second] = h.locations();
    shop.receive_at("tee", &first, 3).await;
    shop.receive_at("tee", &second, 4).await;
    let less = adjustment("less", "tee", StockChange::Correct(-1)).at(second.clone());
    assert!(shop.adjust(&less).await.is_ok());
    let stock = shop.stock("tee").await;
    let physical = |at: &LocationId| {
        let level = stock.levels().iter().find(|level| level.location == *at);
        level.map(|level| level.counts.physical())
    };
    assert_eq!((physical(&first), physical(&second)), (Some(3), Some(3)));
    assert_eq!((stock.levels().len(), stock.physical()), (2, 6));
    shop.ledger().await;
}

pub(super) async fn below_promised_is_refused_with_the_shortage<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[("tee", 5)]).await;
    shop.hold("held", "tee", 2).await;
    shop.hold("confirmed", "tee", 1).await;
    shop.must("confirmed", Transition::Confirm).await;
    let before = shop.stock("tee").await;
    let changes = [
        (StockChange::Correct(-3), 1),
        (StockChange::Correct(-5), 3),
        (StockChange::Set(0), 3),
        (StockChange::Set(2), 1),
    ];
    for (change, expected) in changes {
        let refused = shop.adjust(&adjustment("op", "tee", change)).await;
        match refused {
            Err(InventoryError::BelowPromised {
                sku,
                location,
                promised,
                short,
            }) => {
                assert_eq!(
                    (sku.as_str(), promised, short),
                    ("tee", 3, expected),
                    "{change:?}"
                );
                assert_eq!(location, LocationId::default());
            }
            other => panic!("3 of 5 units are promised, and {change:?} returned {other:?}"),
        }
    }
    assert_eq!(
        shop.stock("tee").await,
        before,
        "a refused adjustment changed stock"
    );
    let least = shop
        .adjust(&adjustment("least", "tee", StockChange::Set(3)))
        .await;
    assert!(least.is_ok(), "3 promised units may remain: {least:?}");
    assert_eq!(shop.counts("tee").await, (3, 3));
    shop.ledger().await;
}

pub(super) async fn counts_stay_in_their_bounds<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[]).await;
    let most = adjustment("most", "tee", StockChange::Set(Counts::MAX));
    assert!(
        shop.adjust(&most).await.is_ok(),
        "2^53 - 1 units are allowed"
    );
    let before = shop.stock("tee").await;
    assert_eq!(before.physical(), Counts::MAX);
    let changes = [
        receive(1),
        receive(1_000_000_000),
        StockChange::Correct(1),
        StockChange::Correct(i64::MAX),
        StockChange::Correct(i64::MIN),
        StockChange::Correct(0),
        StockChange::Set(Counts::MAX + 1),
        StockChange::Set(u64::MAX),
    ];
    for change in changes {
        let refused = shop.adjust(&adjustment("op", "tee", change)).await;
        assert!(
            matches!(refused, Err(InventoryError::Invalid { .. })),
            "{change:?} of 2^53 - 1 units returned {refused:?}"
        );
    }
    assert_eq!(
        shop.stock("tee").await,
        before,
        "a refused adjustment changed stock"
    );
    shop.hold("much", "tee", 1_000_000_000).await;
    shop.ledger().await;
}

pub(super) async fn adjustments_fail_one_by_one<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[("tee", 5)]).await;
    shop.hold("r", "tee", 5).await;
    let adjustments = [
        adjustment("a", "cap", receive(3)),
        adjustment("b", "tee", StockChange::Correct(-1)),
        adjustment("c", "mug", StockChange::Set(u64::MAX)),
        adjustment("d", "mug", receive(4)),
    ];
    let outcomes = shop.adjust_all(&adjustments).await;
    let succeeded: Vec<bool> = outcomes.iter().map(Result::is_ok).collect();
    assert_eq!(succeeded, [true, false, false, true], "{outcomes:?}");
    assert_eq!(shop.counts("cap").await, (3, 0));
    assert_eq!(shop.counts("mug").await, (4, 0));
    assert_eq!(shop.counts("tee").await, (5, 5));
    shop.ledger().await;
}

pub(super) async fn adjustments_of_one_call_are_in_order<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[]).await;
    let adjustments = [
        adjustment("a", "tee", receive(5)),
        adjustment("b", "tee", StockChange::Correct(-3)),
        adjustment("c", "tee", StockChange::Correct(-3)),
        adjustment("d", "tee", StockChange::Set(7)),
        adjustment("e", "tee", receive(1)),
    ];
    let outcomes = shop.adjust_all(&adjustments).await;
    let movements: Vec<Option<i64>> = outcomes
        .iter()
        .map(|outcome| {
            outcome
                .as_ref()
                .ok()
                .map(|adjusted| adjusted.movement.delta.physical)
        })
        .collect();
    assert_eq!(
        movements,
        [Some(5), Some(-3), None, Some(5), Some(1)],
        "{outcomes:?}"
    );
    assert_eq!(shop.counts("tee").await, (8, 0));
    shop.ledger().await;
}

pub(super) async fn many_adjustments_in_one_call<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[]).await;
    let adjustments: Vec<_> = (0..500)
        .map(|n| adjustment(&format!("op-{n}"), &format!("sku-{}", n % 250), receive(1)))
        .collect();
    let outcomes = shop.adjust_all(&adjustments).await;
    for (asked, outcome) in adjustments.iter().zip(outcomes) {
        match outcome {
            Ok(adjusted) => assert_eq!(adjusted.movement.sku, asked.sku, "outcomes are in order"),
            Err(error) => panic!("{} of 500 adjustments failed: {error}", asked.operation),
        }
    }
    assert_eq!(shop.counts("sku-249").await, (2, 0));
    shop.ledger().await;
}

pub(super) async fn every_change_raises_the_version<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[]).await;
    let [first, second] = h.locations();
    shop.receive_at("tee", &first, 5).await;
    let mut last = shop.stock("tee").await.version();
    let mut risen = async |what: &str| {
        let version = shop.stock("tee").await.version();
        assert!(
            version > last,
            "{what}: the SKU's version must rise; it was {last}, and is {version}"
        );
        last = version;
    };
    shop.receive_at("tee", &second, 5).await;
    risen("the first units at another location").await;
    let request = super::shop::wants("r", [super::shop::line("tee", 1).at(second.clone())]);
    shop.grant(&request).await;
    risen("a reservation").await;
    shop.must("r", Transition::Confirm).await;
    shop.must("r", Transition::Fulfil).await;
    risen("a fulfilment").await;
    let asked = StockChange::Receive(units(1));
    assert!(
        shop.adjust(&adjustment("op", "tee", asked).at(first))
            .await
            .is_ok()
    );
    risen("a receive").await;
    shop.ledger().await;
}
