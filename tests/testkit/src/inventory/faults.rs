//! A write that took effect although its reply was lost: doing it again tells, and counts once.

use std::sync::Arc;
use std::time::Duration;

use stockade_change_feed::Retry;
use stockade_inventory_core::{
    Effect, Expiry, InventoryError, ReservationState, StockChange, Transition,
};

use super::shop::{PAST_SHORT, Shop, adjustment, id, line, receive, want, wants};
use super::{InventoryHarness, ReplyLost};

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
    let found = found.unwrap_or_else(|error| panic!("asking again was told: {error}"));
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
        panic!("the winner of the last unit lost its reply, asked again and was told: {error}")
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
        let again = again.unwrap_or_else(|error| panic!("asking again was told: {error}"));
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

pub(super) async fn an_extension_whose_reply_is_lost_holds<H: InventoryHarness>(h: H) {
    let (shop, connection) = open(&h, &[("tee", 5)]).await;
    let held = shop.hold_shortly("r", "tee", 2).await;
    let until = held.deadline.plus(Duration::from_secs(3600));
    connection.lose(1);
    assert_lost(&shop.extend("r", until).await);
    let again = shop.extend("r", until).await;
    let again = again.unwrap_or_else(|error| panic!("asking again was told: {error}"));
    assert_eq!(
        (again.effect, again.reservation.deadline),
        (Effect::Repeated, until)
    );
    h.pass_time(PAST_SHORT).await;
    let expiry = shop.expire("r").await;
    assert!(
        matches!(expiry, Expiry::NotDue { .. }),
        "extended by an hour, and {expiry:?}"
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
