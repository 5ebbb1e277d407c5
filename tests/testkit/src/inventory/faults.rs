//! Errors say whether a call took effect, and a call that is repeated after an error counts once.

use std::sync::Arc;
use std::time::Duration;

use stockade_change_feed::Retry;
use stockade_inventory_core::{
    ActingFor, Effect, Expiry, InventoryError, InventoryStore, ReservationState, StockChange,
    Transition, TransitionRequest,
};

use super::shop::{PAST_SHORT, Shop, adjustment, id, line, receive, want, wants};
use super::{InventoryHarness, ReplyLost};
use crate::together;

/// A shop behind a connection that can lose replies.
async fn open<H: InventoryHarness>(h: &H, stock: &[(&str, u64)]) -> (Shop, Arc<ReplyLost>) {
    Shop::open(h, stock).await;
    let lossy = Arc::new(ReplyLost::new(h.store()));
    (Shop::new(lossy.clone()), lossy)
}

fn assert_lost<T: std::fmt::Debug>(outcome: &Result<T, InventoryError>) {
    let retry = outcome.as_ref().err().map(InventoryError::retry);
    assert_eq!(
        retry,
        Some(Retry::OutcomeUnknown),
        "the reply was to be lost: {outcome:?}"
    );
}

pub(super) async fn a_reserve_whose_reply_is_lost_counts_once<H: InventoryHarness>(h: H) {
    let (shop, connection) = open(&h, &[("cap", 5), ("tee", 5)]).await;
    let request = wants("r", [line("cap", 1), line("tee", 2)]);
    connection.lose(2);
    for _ in 0..2 {
        assert_lost(&shop.reserve(&request).await);
    }
    let found = shop.reserve(&request).await;
    let found = found.unwrap_or_else(|error| panic!("the repeated call failed: {error}"));
    assert_eq!(
        shop.counts("tee").await,
        (5, 2),
        "a reserve that was sent three times"
    );
    assert_eq!(found.effect, Effect::Repeated);
    shop.ledger().await;
}

pub(super) async fn the_last_unit_is_kept_when_the_reply_is_lost<H: InventoryHarness>(h: H) {
    let (shop, connection) = open(&h, &[("tee", 1)]).await;
    connection.lose(1);
    assert_lost(&shop.reserve(&want("winner", "tee", 1)).await);
    let other = shop.reserve(&want("other", "tee", 1)).await;
    assert!(
        matches!(other, Err(InventoryError::Insufficient { .. })),
        "{other:?}"
    );
    let again = shop.reserve(&want("winner", "tee", 1)).await;
    let again = again.unwrap_or_else(|error| {
        panic!("the reply to the grant of the last unit was lost, and the repeat failed: {error}")
    });
    assert_eq!(again.effect, Effect::Repeated);
    shop.ledger().await;
}

pub(super) async fn a_batch_whose_reply_is_lost_counts_once<H: InventoryHarness>(h: H) {
    let (shop, connection) = open(&h, &[("tee", 2)]).await;
    let requests = ["a", "b", "c"].map(|reservation| want(reservation, "tee", 1));
    connection.lose(1);
    assert_lost(&shop.store.reserve(&requests).await);
    let outcomes = shop.reserve_all(&requests).await;
    let effects: Vec<_> = outcomes
        .iter()
        .map(|o| o.as_ref().ok().map(|g| g.effect))
        .collect();
    let (repeated, refused) = (Some(Effect::Repeated), None);
    assert_eq!(effects, [repeated, repeated, refused], "{outcomes:?}");
    shop.ledger().await;
}

pub(super) async fn an_adjustment_whose_reply_is_lost_counts_once<H: InventoryHarness>(h: H) {
    let (shop, connection) = open(&h, &[("tee", 1)]).await;
    let changes = [receive(50), StockChange::Correct(-20), StockChange::Set(40)];
    for (n, (change, physical)) in changes.into_iter().zip([51, 31, 40]).enumerate() {
        let asked = adjustment(&format!("op-{n}"), "tee", change);
        connection.lose(1);
        assert_lost(&shop.adjust(&asked).await);
        let again = shop.adjust(&asked).await;
        let again = again.unwrap_or_else(|error| panic!("the repeated call failed: {error}"));
        assert_eq!(
            shop.counts("tee").await,
            (physical, 0),
            "{change:?} was sent twice"
        );
        assert_eq!(again.effect, Effect::Repeated);
    }
    shop.ledger().await;
}

pub(super) async fn a_step_whose_reply_is_lost_counts_once<H: InventoryHarness>(h: H) {
    let (shop, connection) = open(&h, &[("tee", 20)]).await;
    let confirm = Transition::Confirm;
    let lives: [(&str, &[Transition]); 3] = [
        ("shipped", &[confirm, Transition::Fulfil]),
        ("cancelled", &[confirm, Transition::Cancel]),
        ("released", &[Transition::Release]),
    ];
    for (reservation, steps) in lives {
        shop.hold(reservation, "tee", 2).await;
        for step in steps {
            connection.lose(1);
            assert_lost(&shop.step(reservation, *step).await);
            let again = shop.must(reservation, *step).await;
            assert_eq!(again.effect, Effect::Repeated, "{step:?} of {reservation}");
        }
    }
    assert_eq!(
        shop.counts("tee").await,
        (18, 0),
        "2 of 20 units were shipped"
    );
    shop.ledger().await;
}

pub(super) async fn an_extension_whose_reply_is_lost_takes_effect<H: InventoryHarness>(h: H) {
    let (shop, connection) = open(&h, &[("tee", 5)]).await;
    let held = shop.hold_shortly("r", "tee", 2).await;
    let until = held.deadline.plus(Duration::from_secs(3600));
    connection.lose(1);
    assert_lost(&shop.extend("r", until).await);
    let again = shop.extend("r", until).await;
    let again = again.unwrap_or_else(|error| panic!("the repeated call failed: {error}"));
    assert_eq!(
        (again.effect, again.reservation.deadline),
        (Effect::Repeated, until)
    );
    h.pass_time(PAST_SHORT).await;
    let expiry = shop.expire("r").await;
    assert!(
        matches!(expiry, Expiry::NotDue { .. }),
        "extended by an hour, but expiring it returned {expiry:?}"
    );
    shop.ledger().await;
}

pub(super) async fn an_expiry_whose_reply_is_lost_counts_once<H: InventoryHarness>(h: H) {
    let (shop, connection) = open(&h, &[("tee", 9)]).await;
    shop.hold("neighbour", "tee", 6).await;
    shop.hold_shortly("r", "tee", 3).await;
    h.pass_time(PAST_SHORT).await;
    connection.lose(1);
    assert_lost(&shop.store.expire(&[id("r")]).await);
    let again = shop.expire("r").await;
    assert_eq!(
        shop.counts("tee").await,
        (9, 6),
        "an expiry of 3 units was sent twice"
    );
    assert_eq!(again, Expiry::Settled(ReservationState::Expired));
    shop.ledger().await;
}

pub(super) async fn an_error_without_effect_changes_nothing<H: InventoryHarness>(h: H) {
    const CALLERS: usize = 16;
    const ROUNDS: usize = 8;
    let shop = Shop::open(&h, &[("cap", 999), ("tee", 999)]).await;
    let store = h.store();
    together((0..CALLERS).map(|caller| {
        let (shop, store) = (shop.clone(), store.clone());
        async move {
            for round in 0..ROUNDS {
                let name = format!("{caller}-{round}");
                reserve_once(&shop, store.as_ref(), &name).await;
                confirm_once(&shop, store.as_ref(), &name).await;
                adjust_once(&shop, store.as_ref(), &name).await;
            }
        }
    }))
    .await;
    shop.ledger().await;
}

/// The error of a call, if it says that nothing took effect.
fn without_effect<T>(outcome: Result<T, InventoryError>) -> Option<InventoryError> {
    outcome
        .err()
        .filter(|error| error.retry() != Retry::OutcomeUnknown)
}

const RULE: &str = "an error whose retry() is not OutcomeUnknown says that nothing took effect";

/// Reserves, without a retry. If the call fails without effect, checks that there is no
/// reservation, and reserves again.
async fn reserve_once(shop: &Shop, store: &dyn InventoryStore, name: &str) {
    let request = wants(name, [line("cap", 1), line("tee", 1)]);
    let mut outcomes = store.reserve(std::slice::from_ref(&request)).await;
    let outcome = outcomes.as_mut().map_err(|error| error.clone());
    if let Some(error) = without_effect(outcome.and_then(|outcomes| outcomes.remove(0))) {
        let found = shop.store.reservation(&request.id).await;
        assert!(
            matches!(found, Err(InventoryError::UnknownReservation { .. })),
            "{RULE}; reserve failed with \"{error}\", and then there is {found:?}"
        );
    }
    let again = shop.reserve(&request).await;
    again.unwrap_or_else(|error| panic!("reserving {name} again failed: {error}"));
}

async fn confirm_once(shop: &Shop, store: &dyn InventoryStore, name: &str) {
    let request = TransitionRequest {
        id: id(name),
        transition: Transition::Confirm,
        acting_for: ActingFor::Anyone,
    };
    if let Some(error) = without_effect(store.transition(&request).await) {
        let state = shop.state(name).await;
        assert_eq!(
            state,
            ReservationState::Held,
            "{RULE}; confirm failed with \"{error}\", and then the reservation is {state}"
        );
    }
    shop.must(name, Transition::Confirm).await;
}

async fn adjust_once(shop: &Shop, store: &dyn InventoryStore, name: &str) {
    let asked = adjustment(&format!("op-{name}"), "tee", receive(1));
    let mut outcomes = store.adjust(std::slice::from_ref(&asked)).await;
    let outcome = outcomes.as_mut().map_err(|error| error.clone());
    let error = without_effect(outcome.and_then(|outcomes| outcomes.remove(0)));
    let again = shop.adjust(&asked).await;
    let again = again.unwrap_or_else(|error| panic!("adjusting again failed: {error}"));
    if let Some(error) = error {
        assert_eq!(
            again.effect,
            Effect::Applied,
            "{RULE}; adjust failed with \"{error}\", and the same call then found its effect"
        );
    }
}
