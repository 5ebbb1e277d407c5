//! Repeated calls change nothing.

use stockade_inventory_core::{
    Adjusted, Effect, InventoryError, ReservationState, Reserved, StockChange, Transition, Ttl,
};

use super::InventoryHarness;
use super::shop::{Shop, adjustment, line, owner, place, receive, short_lived, want, wants};
use crate::together;

const CALLERS: usize = 16;

pub(super) async fn a_repeated_reserve_finds_the_first_grant<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[("cap", 3), ("tee", 5)]).await;
    let request = wants("r", [line("cap", 1), line("tee", 2)]);
    let first = shop.grant(&request).await;
    for _ in 0..3 {
        let again = repeat(&shop, &request).await;
        assert_eq!(
            again.effect,
            Effect::Repeated,
            "a repeated reserve was granted a second time"
        );
        assert_eq!(again.reservation, first);
    }
    assert_eq!(
        shop.counts("tee").await,
        (5, 2),
        "a repeated reserve counted twice"
    );
    shop.ledger().await;
}

pub(super) async fn the_winner_of_the_last_unit_may_repeat<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[("tee", 1)]).await;
    let request = want("winner", "tee", 1);
    let first = shop.grant(&request).await;
    let again = shop.reserve(&request).await;
    let again = again.unwrap_or_else(|error| {
        panic!("the owner of the last unit repeated its request, which failed: {error}")
    });
    assert_eq!((again.effect, again.reservation), (Effect::Repeated, first));
    shop.ledger().await;
}

pub(super) async fn concurrent_repeats_of_the_winner_agree<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[("tee", 1)]).await;
    let outcomes = together((0..CALLERS).map(|_| {
        let shop = shop.clone();
        async move { shop.reserve(&want("winner", "tee", 1)).await }
    }))
    .await;
    let granted: Vec<Reserved> = outcomes
        .into_iter()
        .map(|outcome| {
            outcome.unwrap_or_else(|error| {
                panic!("one of {CALLERS} attempts with one id for the last unit failed: {error}")
            })
        })
        .collect();
    assert_once(granted.iter().map(|granted| granted.effect), "one reserve");
    assert!(
        granted
            .iter()
            .all(|other| other.reservation == granted[0].reservation)
    );
    assert_eq!(shop.counts("tee").await, (1, 1));
    shop.ledger().await;
}

pub(super) async fn a_repeat_finds_the_grant_where_it_was_made<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[]).await;
    let [first, second] = h.locations();
    shop.receive_at("tee", &second, 2).await;
    let request = want("r", "tee", 2);
    shop.grant(&request).await;
    // By now the first location would serve the request.
    shop.receive_at("tee", &first, 9).await;
    let again = repeat(&shop, &request).await;
    assert_eq!(again.effect, Effect::Repeated);
    assert_eq!(again.reservation.lines[0].location, second);
    shop.ledger().await;
}

pub(super) async fn a_repeat_finds_every_later_state<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[("tee", 9)]).await;
    let (confirm, release) = (Transition::Confirm, Transition::Release);
    let cases: [(&str, &[Transition], ReservationState); 4] = [
        ("r", &[confirm], ReservationState::Confirmed),
        ("s", &[release], ReservationState::Released),
        (
            "t",
            &[confirm, Transition::Cancel],
            ReservationState::Cancelled,
        ),
        (
            "u",
            &[confirm, Transition::Fulfil],
            ReservationState::Fulfilled,
        ),
    ];
    for (reservation, steps, state) in cases {
        let request = want(reservation, "tee", 2);
        shop.grant(&request).await;
        for step in steps {
            shop.must(reservation, *step).await;
        }
        let before = shop.stock("tee").await;
        let again = repeat(&shop, &request).await;
        assert_eq!(
            again.effect,
            Effect::Repeated,
            "a {state} reservation was granted again"
        );
        assert_eq!(again.reservation.state, state);
        assert_eq!(
            shop.stock("tee").await,
            before,
            "repeating the request of a {state} reservation moved units"
        );
    }
    shop.ledger().await;
}

pub(super) async fn other_content_with_the_same_id_conflicts<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[("cap", 5), ("tee", 5)]).await;
    shop.hold("r", "tee", 2).await;
    let mut of_bob = want("r", "tee", 2);
    of_bob.owner = owner("bob");
    let others = [
        want("r", "tee", 1),
        want("r", "cap", 2),
        wants("r", [line("tee", 2), line("cap", 1)]),
        wants("r", [line("tee", 2).at(place("elsewhere"))]),
        want("r", "tee", 4),
        want("r", "nothing", 2),
        of_bob,
    ];
    for other in others {
        let outcome = shop.reserve(&other).await;
        assert!(
            matches!(outcome, Err(InventoryError::ReservationConflict { .. })),
            "another request with a used id is a conflict, but the outcome is {outcome:?}"
        );
    }
    // The time to live is no part of the content.
    let request = want("r", "tee", 2).with_ttl(Ttl::MAX);
    assert_eq!(repeat(&shop, &request).await.effect, Effect::Repeated);
    assert_eq!(shop.counts("tee").await, (5, 2));
    assert_eq!(shop.counts("cap").await, (5, 0));
    shop.ledger().await;
}

pub(super) async fn a_refused_request_may_be_repeated<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[("tee", 1)]).await;
    for request in [want("r", "tee", 3), want("r", "nothing", 1)] {
        assert!(shop.reserve(&request).await.is_err());
    }
    shop.receive("tee", 2).await;
    let granted = shop
        .reserve(&want("r", "tee", 2).with_ttl(short_lived()))
        .await;
    let granted = granted.unwrap_or_else(|error| {
        panic!("a refusal is not stored, but a later request with its id failed: {error}")
    });
    assert_eq!(granted.effect, Effect::Applied);
    shop.ledger().await;
}

pub(super) async fn a_repeated_receive_counts_once<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[]).await;
    let fifty = adjustment("delivery", "tee", receive(50));
    let first = adjust(&shop, &fifty).await;
    assert_eq!(first.effect, Effect::Applied);
    shop.receive("tee", 1).await;
    let again = adjust(&shop, &fifty).await;
    let (physical, _) = shop.counts("tee").await;
    assert_eq!(
        physical, 51,
        "50 units received again under their operation id, and 1 other"
    );
    assert_eq!(again.effect, Effect::Repeated);
    assert_eq!(
        again.movement, first.movement,
        "a repeated adjustment returns its first movement"
    );
    assert_eq!(
        again.level.counts.physical(),
        51,
        "a repeated adjustment returns the current level"
    );

    let twice = [
        adjustment("set", "tee", StockChange::Set(9)),
        adjustment("set", "tee", StockChange::Set(9)),
    ];
    let outcomes = shop.adjust_all(&twice).await;
    let effects: Vec<_> = outcomes
        .iter()
        .flatten()
        .map(|adjusted| adjusted.effect)
        .collect();
    assert_eq!(effects, [Effect::Applied, Effect::Repeated], "{outcomes:?}");
    shop.ledger().await;
}

pub(super) async fn concurrent_repeats_of_a_receive_count_once<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[("tee", 1)]).await;
    let outcomes = together((0..CALLERS).map(|_| {
        let shop = shop.clone();
        async move { adjust(&shop, &adjustment("delivery", "tee", receive(50))).await }
    }))
    .await;
    let (physical, _) = shop.counts("tee").await;
    assert_eq!(
        physical, 51,
        "50 units received by {CALLERS} calls with one operation id"
    );
    assert_once(
        outcomes.iter().map(|adjusted| adjusted.effect),
        "one receive",
    );
    shop.ledger().await;
}

pub(super) async fn other_adjustments_with_the_same_id_conflict<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[("cap", 5), ("tee", 5)]).await;
    let [elsewhere, _] = h.locations();
    adjust(&shop, &adjustment("op", "tee", receive(2))).await;
    let others = [
        adjustment("op", "tee", receive(3)),
        adjustment("op", "tee", StockChange::Correct(2)),
        adjustment("op", "tee", StockChange::Set(2)),
        adjustment("op", "cap", receive(2)),
        adjustment("op", "tee", receive(2)).at(elsewhere),
    ];
    for other in others {
        let outcome = shop.adjust(&other).await;
        assert!(
            matches!(outcome, Err(InventoryError::OperationConflict { .. })),
            "another adjustment with a used id is a conflict, but the outcome is {outcome:?}"
        );
    }
    assert_eq!(shop.counts("tee").await, (7, 0));
    assert_eq!(shop.counts("cap").await, (5, 0));
    shop.ledger().await;
}

pub(super) async fn a_refused_adjustment_may_be_repeated<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[("tee", 5)]).await;
    shop.hold("r", "tee", 4).await;
    let less = adjustment("less", "tee", StockChange::Correct(-2));
    assert!(shop.adjust(&less).await.is_err());
    shop.must("r", Transition::Release).await;
    let adjusted = adjust(&shop, &less).await;
    assert_eq!(
        (adjusted.effect, adjusted.level.counts.physical()),
        (Effect::Applied, 3)
    );
    shop.ledger().await;
}

pub(super) async fn a_repeated_step_changes_nothing<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[("tee", 20)]).await;
    for (reservation, steps) in lives() {
        shop.hold(reservation, "tee", 2).await;
        for step in steps {
            let first = shop.must(reservation, *step).await;
            assert_eq!(first.effect, Effect::Applied, "{step:?} of {reservation}");
            let before = shop.stock("tee").await;
            let again = shop.must(reservation, *step).await;
            assert_eq!(
                again.effect,
                Effect::Repeated,
                "a second {step:?} of {reservation}"
            );
            assert_eq!(again.reservation, first.reservation);
            assert_eq!(
                shop.stock("tee").await,
                before,
                "a second {step:?} moved units"
            );
        }
    }
    shop.ledger().await;
}

pub(super) async fn concurrent_repeats_of_a_step_take_effect_once<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[("tee", 20)]).await;
    for (reservation, steps) in lives() {
        shop.hold(reservation, "tee", 2).await;
        for step in steps.iter().copied() {
            let outcomes = together((0..CALLERS).map(|_| {
                let shop = shop.clone();
                async move { shop.must(reservation, step).await.effect }
            }))
            .await;
            assert_once(outcomes.into_iter(), &format!("{step:?} of {reservation}"));
        }
    }
    shop.ledger().await;
}

/// Reservations and the steps of their lives.
fn lives() -> [(&'static str, &'static [Transition]); 3] {
    [
        ("shipped", &[Transition::Confirm, Transition::Fulfil]),
        ("cancelled", &[Transition::Confirm, Transition::Cancel]),
        ("released", &[Transition::Release]),
    ]
}

async fn repeat(shop: &Shop, request: &stockade_inventory_core::ReserveRequest) -> Reserved {
    let again = shop.reserve(request).await;
    again.unwrap_or_else(|error| {
        panic!("{} repeated its request, which failed: {error}", request.id)
    })
}

async fn adjust(shop: &Shop, adjustment: &stockade_inventory_core::Adjustment) -> Adjusted {
    let adjusted = shop.adjust(adjustment).await;
    adjusted.unwrap_or_else(|error| panic!("{adjustment:?} failed: {error}"))
}

fn assert_once(effects: impl Iterator<Item = Effect>, what: &str) {
    let applied = effects.filter(|effect| *effect == Effect::Applied).count();
    assert_eq!(
        applied, 1,
        "{what} by {CALLERS} calls took effect this many times"
    );
}
