//! Finished reservations are purged, with their ids.

use std::time::Duration;

use stockade_inventory_core::{Effect, InventoryError, ReservationState, Rest, Transition};

use super::StockRetentionHarness;
use super::purge::{KEEP, PAST_KEEP, Purging, SHORTEST, all, every_state};
use super::shop::want;
use crate::together;

pub(super) async fn finished_reservations_are_purged<H: StockRetentionHarness>(h: H) {
    let purging = every_state(&h).await;
    h.pass_time(PAST_KEEP).await;
    assert_eq!(purging.reservations().await, 4, "four are finished");
    for finished in ["expired", "released", "cancelled", "fulfilled"] {
        assert!(
            purging.is_unknown(finished).await,
            "{finished} was purged, but is still known"
        );
        let late = purging.shop.step(finished, Transition::Release).await;
        assert!(
            matches!(late, Err(InventoryError::UnknownReservation { .. })),
            "{late:?}"
        );
    }
    assert_eq!(purging.reservations().await, 0, "all were purged before");
    assert_eq!(purging.shop.counts("tee").await, (8, 2));
    purging.ledger(&["held", "confirmed"]).await;
}

pub(super) async fn held_and_confirmed_reservations_are_kept<H: StockRetentionHarness>(h: H) {
    let purging = Purging::open(&h, &[("tee", 9)]).await;
    for reservation in ["held", "confirmed"] {
        purging.shop.hold(reservation, "tee", 1).await;
    }
    purging.shop.must("confirmed", Transition::Confirm).await;
    purging.shop.hold_shortly("overdue", "tee", 1).await;
    h.pass_time(PAST_KEEP).await;
    assert_eq!(
        purging.reservations().await,
        0,
        "a held or confirmed reservation was purged"
    );
    assert_eq!(purging.shop.state("held").await, ReservationState::Held);
    assert_eq!(purging.shop.sweep(9).await.len(), 1, "one is overdue");
    purging.shop.must("confirmed", Transition::Fulfil).await;
    assert_eq!(purging.shop.counts("tee").await, (8, 1));
    purging.shop.ledger().await;
}

pub(super) async fn the_time_to_keep_a_reservation_starts_at_its_end<H: StockRetentionHarness>(
    h: H,
) {
    let purging = Purging::open(&h, &[("tee", 9)]).await;
    let request = want("r", "tee", 1);
    purging.shop.grant(&request).await;
    h.pass_time(PAST_KEEP).await;
    purging.shop.must("r", Transition::Release).await;
    assert_eq!(
        purging.reservations().await,
        0,
        "it was purged when it had just finished"
    );
    let again = purging.shop.reserve(&request).await;
    assert!(again.is_ok_and(|found| found.effect == Effect::Repeated));
    h.pass_time(PAST_KEEP).await;
    assert_eq!(purging.reservations().await, 1);
    assert!(purging.is_unknown("r").await);
    purging.ledger(&[]).await;
}

pub(super) async fn the_longest_finished_go_first<H: StockRetentionHarness>(h: H) {
    let purging = Purging::open(&h, &[("tee", 9)]).await;
    for reservation in ["a", "b", "c"] {
        purging.shop.hold(reservation, "tee", 1).await;
    }
    for reservation in ["b", "c", "a"] {
        purging.shop.must(reservation, Transition::Release).await;
        h.pass_time(Duration::from_millis(20)).await;
    }
    h.pass_time(PAST_KEEP).await;
    for (known, gone) in [(&["a", "c"][..], "b"), (&["a"], "c"), (&[], "a")] {
        purging.one_reservation().await;
        assert!(purging.is_unknown(gone).await, "{gone} finished first");
        purging.ledger(known).await;
    }
    assert_eq!(purging.reservations().await, 0);
}

pub(super) async fn a_purged_id_can_be_used_again<H: StockRetentionHarness>(h: H) {
    let purging = Purging::open(&h, &[("tee", 9)]).await;
    purging.shop.hold("r", "tee", 1).await;
    purging.shop.must("r", Transition::Release).await;
    h.pass_time(PAST_KEEP).await;
    assert_eq!(purging.reservations().await, 1);
    let other = purging.shop.grant(&want("r", "tee", 2)).await;
    assert_eq!(other.state, ReservationState::Held);
    assert_eq!(purging.shop.counts("tee").await, (9, 2));
    assert_eq!(
        purging.reservations().await,
        0,
        "the new reservation was purged by the age of the one before"
    );
    purging.ledger(&["r"]).await;
}

pub(super) async fn concurrent_purges_share_the_reservations<H: StockRetentionHarness>(h: H) {
    let purging = Purging::open(&h, &[("tee", 40)]).await;
    for number in 0..40 {
        let name = format!("r{number}");
        purging.shop.hold(&name, "tee", 1).await;
        purging.shop.must(&name, Transition::Release).await;
    }
    h.pass_time(PAST_KEEP).await;
    let counts = together((0..8).map(|_| {
        let purging = purging.clone();
        async move { purging.reservations_once(7).await.count }
    }))
    .await;
    let left = purging.reservations().await;
    assert_eq!(
        counts.iter().sum::<usize>() + left,
        40,
        "each is purged once: {counts:?}, and then {left}"
    );
    purging.ledger(&[]).await;
}

pub(super) async fn a_purge_of_reservations_says_whether_there_is_more<H: StockRetentionHarness>(
    h: H,
) {
    const FINISHED: usize = 120;
    let purging = Purging::open(&h, &[("tee", 9)]).await;
    let nothing = purging.reservations_once(9).await;
    assert_eq!(
        (nothing.count, nothing.rest),
        (0, Rest::None),
        "nothing is finished"
    );
    for number in 0..FINISHED {
        let name = format!("r{number}");
        purging.shop.hold(&name, "tee", 1).await;
        purging.shop.must(&name, Transition::Release).await;
    }
    h.pass_time(PAST_KEEP).await;
    let first = purging.reservations_once(7).await;
    assert_eq!(
        first.rest,
        Rest::More,
        "a purge of at most 7 leaves some of {FINISHED}"
    );
    // The store may do less in a call than it is allowed.
    let rest = all(|| purging.reservations_once(1_000)).await;
    assert_eq!(
        first.count + rest,
        FINISHED,
        "the store said that nothing is left to purge; reservations that were purged"
    );
    purging.ledger(&[]).await;
}

pub(super) async fn a_reservation_is_purged_exactly_when_it_is_old_enough<
    H: StockRetentionHarness,
>(
    h: H,
) {
    if !H::EXACT_TIME {
        return;
    }
    let purging = Purging::open(&h, &[("tee", 5)]).await;
    purging.shop.hold("r", "tee", 1).await;
    purging.shop.must("r", Transition::Release).await;
    h.pass_time(KEEP - SHORTEST).await;
    assert_eq!(purging.reservations().await, 0, "it is younger by 1 µs");
    h.pass_time(SHORTEST).await;
    assert_eq!(
        purging.reservations().await,
        1,
        "the reservation finished exactly as long ago as it is kept: `at least` includes that time"
    );
    purging.ledger(&[]).await;
}
