//! Deadlines are compared with the store's clock, and units come back once.

use std::time::Duration;

use stockade_inventory_core::{
    Asked, Effect, Expiry, InventoryError, ReservationState, Transition, Ttl,
};

use super::InventoryHarness;
use super::shop::{PAST_SHORT, SHORT, Shop, id, short_lived, want};
use crate::together;

const HOUR: Duration = Duration::from_secs(3600);
const CALLERS: usize = 8;

pub(super) async fn remaining_time_falls_on_the_stores_clock<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[("tee", 5)]).await;
    let request = want("r", "tee", 1);
    let first = shop.grant(&request).await;
    h.pass_time(SHORT).await;
    let again = shop.reserve(&request).await;
    let again = again.unwrap_or_else(|error| panic!("a repeated reserve failed: {error}"));
    let ttl = Ttl::default().get();
    assert_eq!(
        again.reservation.deadline, first.deadline,
        "a repeated request moved the deadline"
    );
    assert!(
        again.remaining <= ttl - SHORT && again.remaining > ttl / 2,
        "{SHORT:?} of {ttl:?} have passed, but {:?} remain",
        again.remaining
    );
}

pub(super) async fn a_reservation_does_not_expire_before_its_deadline<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[("tee", 5)]).await;
    let held = shop.hold("r", "tee", 2).await;
    let ttl = Ttl::default().get();
    match shop.expire("r").await {
        Expiry::NotDue { remaining } => assert!(remaining <= ttl && remaining > ttl / 2),
        other => panic!("held for {ttl:?}, but expiring it at once returned {other:?}"),
    }
    assert_eq!(shop.sweep(10).await, []);
    assert_eq!(shop.reservation("r").await, held);
    shop.ledger().await;
}

pub(super) async fn expiry_gives_units_back_once<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[("tee", 9)]).await;
    // Units that are held beside it would hide in no error if more came back than was taken.
    shop.hold("neighbour", "tee", 6).await;
    shop.hold_shortly("r", "tee", 3).await;
    h.pass_time(PAST_SHORT).await;
    match shop.expire("r").await {
        Expiry::Expired(reservation) => assert_eq!(reservation.state, ReservationState::Expired),
        other => panic!("overdue, but expiring it returned {other:?}"),
    }
    assert_eq!(
        shop.counts("tee").await,
        (9, 6),
        "after expiry of 3 of 9 reserved units"
    );
    for _ in 0..2 {
        let again = shop.expire("r").await;
        let (_, reserved) = shop.counts("tee").await;
        assert_eq!(
            reserved, 6,
            "units came back twice when an expired reservation was expired again"
        );
        assert_eq!(again, Expiry::Settled(ReservationState::Expired));
    }
    assert_eq!(shop.sweep(10).await, []);
    shop.ledger().await;
}

pub(super) async fn concurrent_expiry_gives_units_back_once<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[("tee", 100)]).await;
    shop.hold("neighbour", "tee", 90).await;
    shop.hold_shortly("r", "tee", 3).await;
    h.pass_time(PAST_SHORT).await;
    let by_id = together((0..2 * CALLERS).map(|caller| {
        let shop = shop.clone();
        async move {
            if caller % 2 == 0 {
                usize::from(matches!(shop.expire("r").await, Expiry::Expired(_)))
            } else {
                shop.sweep(10).await.len()
            }
        }
    }))
    .await;
    let expired: usize = by_id.iter().sum();
    assert_eq!(
        expired, 1,
        "the number of calls that expired the reservation"
    );
    assert_eq!(
        shop.counts("tee").await,
        (100, 90),
        "3 of 93 reserved units must come back"
    );
    shop.ledger().await;
}

pub(super) async fn an_overdue_reservation_is_held_until_it_is_expired<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[("tee", 5)]).await;
    let held = shop.hold_shortly("r", "tee", 2).await;
    h.pass_time(PAST_SHORT).await;
    assert_eq!(
        shop.reservation("r").await,
        held,
        "reading an overdue reservation changed it"
    );
    assert_eq!(shop.counts("tee").await, (5, 2));
    shop.ledger().await;
}

pub(super) async fn a_confirmed_reservation_does_not_expire<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[("tee", 5)]).await;
    shop.hold_shortly("r", "tee", 2).await;
    shop.must("r", Transition::Confirm).await;
    h.pass_time(PAST_SHORT).await;
    assert_eq!(
        shop.expire("r").await,
        Expiry::Settled(ReservationState::Confirmed)
    );
    assert_eq!(shop.sweep(10).await, []);
    assert_eq!(shop.counts("tee").await, (5, 2));
    shop.must("r", Transition::Fulfil).await;
    shop.ledger().await;
}

pub(super) async fn confirming_after_the_deadline_expires<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[("tee", 5)]).await;
    shop.hold_shortly("r", "tee", 2).await;
    h.pass_time(PAST_SHORT).await;
    let late = shop.step("r", Transition::Confirm).await.err();
    expired_instead(&shop, Asked::Transition(Transition::Confirm), late).await;
}

pub(super) async fn releasing_after_the_deadline_releases<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[("tee", 5)]).await;
    shop.hold_shortly("r", "tee", 2).await;
    h.pass_time(PAST_SHORT).await;
    for effect in [Effect::Applied, Effect::Repeated] {
        let released = shop.step("r", Transition::Release).await;
        let released =
            released.unwrap_or_else(|error| panic!("releasing after the deadline failed: {error}"));
        assert_eq!(
            (released.reservation.state, released.effect),
            (ReservationState::Released, effect)
        );
    }
    assert_eq!(shop.counts("tee").await, (5, 0));
    shop.ledger().await;
}

pub(super) async fn extending_after_the_deadline_expires<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[("tee", 5)]).await;
    let held = shop.hold_shortly("r", "tee", 2).await;
    h.pass_time(PAST_SHORT).await;
    let late = shop.extend("r", held.deadline.plus(HOUR)).await.err();
    expired_instead(&shop, Asked::Extend, late).await;
}

async fn expired_instead(shop: &Shop, late: Asked, told: Option<InventoryError>) {
    match told {
        Some(InventoryError::WrongState { asked, actual, .. }) => {
            assert_eq!((asked, actual), (late, ReservationState::Expired));
        }
        other => panic!("the deadline had passed when it was asked to {late}: {other:?}"),
    }
    assert_eq!(shop.state("r").await, ReservationState::Expired);
    assert_eq!(shop.counts("tee").await, (5, 0), "its units must come back");
    assert_eq!(
        shop.expire("r").await,
        Expiry::Settled(ReservationState::Expired)
    );
    shop.ledger().await;
}

pub(super) async fn an_extended_reservation_is_not_expired<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[("tee", 5)]).await;
    for reservation in ["by-id", "by-sweep"] {
        let held = shop.hold_shortly(reservation, "tee", 2).await;
        let until = held.deadline.plus(HOUR);
        let extended = shop.extend(reservation, until).await;
        let extended = extended.unwrap_or_else(|error| panic!("extending failed: {error}"));
        assert_eq!(extended.effect, Effect::Applied);
        assert_eq!(extended.reservation.deadline, until);
        assert!(extended.remaining > HOUR / 2);
    }
    h.pass_time(PAST_SHORT).await;
    let expiry = shop.expire("by-id").await;
    assert!(
        matches!(expiry, Expiry::NotDue { remaining } if remaining > HOUR / 2),
        "a reservation that was extended by an hour was expired: {expiry:?}"
    );
    let swept = shop.sweep(10).await;
    assert_eq!(
        swept,
        [],
        "a sweep expired a reservation that was extended by an hour"
    );
    for reservation in ["by-id", "by-sweep"] {
        shop.must(reservation, Transition::Confirm).await;
    }
    shop.ledger().await;
}

pub(super) async fn extending_never_moves_the_deadline_back<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[("tee", 5)]).await;
    let held = shop.hold("r", "tee", 2).await;
    let later = held.deadline.plus(HOUR);
    let attempts = [
        (held.deadline, Effect::Repeated, held.deadline),
        (held.created_at, Effect::Repeated, held.deadline),
        (later, Effect::Applied, later),
        (later, Effect::Repeated, later),
        (held.deadline.plus(HOUR / 2), Effect::Repeated, later),
    ];
    for (until, effect, deadline) in attempts {
        let extended = shop.extend("r", until).await;
        let extended = extended.unwrap_or_else(|error| panic!("extending failed: {error}"));
        assert_eq!(
            (extended.effect, extended.reservation.deadline),
            (effect, deadline)
        );
        assert_eq!(shop.reservation("r").await, extended.reservation);
    }
    shop.ledger().await;
}

pub(super) async fn extending_is_bounded_by_30_days<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[("tee", 5)]).await;
    let held = shop.hold("r", "tee", 2).await;
    let latest = held.created_at.plus(Ttl::MAX.get());
    let refused = shop.extend("r", latest.plus(HOUR)).await;
    assert!(
        matches!(refused, Err(InventoryError::Invalid { .. })),
        "held for more than 30 days from now: {refused:?}"
    );
    assert_eq!(shop.reservation("r").await, held);
    let extended = shop.extend("r", latest).await;
    assert!(extended.is_ok_and(|extended| extended.reservation.deadline == latest));
    shop.ledger().await;
}

pub(super) async fn expire_reports_on_each_id<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[("tee", 9)]).await;
    shop.hold("held", "tee", 1).await;
    shop.hold("released", "tee", 1).await;
    shop.must("released", Transition::Release).await;
    shop.hold_shortly("overdue", "tee", 1).await;
    h.pass_time(PAST_SHORT).await;
    let ids = ["released", "overdue", "nobody", "held", "overdue"].map(id);
    let outcomes = shop.expire_all(&ids).await;
    let expiries: Vec<Expiry> = outcomes
        .into_iter()
        .map(|outcome| outcome.unwrap_or_else(|error| panic!("expire failed: {error}")))
        .collect();
    match expiries.as_slice() {
        [
            Expiry::Settled(ReservationState::Released),
            Expiry::Expired(reservation),
            Expiry::Unknown,
            Expiry::NotDue { .. },
            Expiry::Settled(ReservationState::Expired),
        ] => assert_eq!(reservation.id, id("overdue")),
        other => panic!("outcomes of {ids:?}: {other:?}"),
    }
    shop.ledger().await;
}

pub(super) async fn expired_units_can_be_reserved_again<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[("tee", 2)]).await;
    shop.hold_shortly("r", "tee", 2).await;
    h.pass_time(PAST_SHORT).await;
    assert_eq!(shop.sweep(10).await.len(), 1);
    shop.hold("s", "tee", 2).await;
    let again = shop
        .reserve(&want("r", "tee", 2).with_ttl(short_lived()))
        .await;
    let again = again.unwrap_or_else(|error| panic!("a repeated reserve failed: {error}"));
    assert_eq!(again.effect, Effect::Repeated);
    assert_eq!(again.reservation.state, ReservationState::Expired);
    assert_eq!(again.remaining, Duration::ZERO);
    shop.ledger().await;
}
