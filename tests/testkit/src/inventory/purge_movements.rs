//! Old movements are replaced by opening balances, and every ledger still adds up.

use stockade_inventory_core::{
    Counts, Cursor, Effect, LocationId, MovementCause, Rest, Transition,
};

use super::StockRetentionHarness;
use super::purge::{KEEP, PAST_KEEP, Purging, SHORTEST, all, every_state};
use super::shop::{adjustment, at_most, operation, receive, sku};
use crate::{Reopen, together};

pub(super) async fn old_movements_become_an_opening_balance<H: StockRetentionHarness>(h: H) {
    let purging = Purging::open(&h, &[("tee", 9)]).await;
    purging.shop.hold("r", "tee", 2).await;
    purging.shop.must("r", Transition::Confirm).await;
    purging.shop.receive("tee", 3).await;
    let before = purging.movements_of("tee").await;
    h.pass_time(PAST_KEEP).await;
    assert_eq!(purging.movements().await, 3);
    let after = purging.movements_of("tee").await;
    assert_eq!(after.len(), 1, "one opening balance is left: {after:?}");
    let (opening, last) = (&after[0], &before[2]);
    assert_eq!(opening.cause, MovementCause::OpeningBalance);
    assert_eq!(
        (opening.delta.physical, opening.delta.reserved),
        (12, 2),
        "the opening balance is the sum of the movements that it replaces"
    );
    assert_eq!(
        (opening.version, opening.at),
        (last.version, last.at),
        "the opening balance has version and time of the last movement that it replaces"
    );
    assert_eq!(purging.movements().await, 0, "all were purged before");
    purging.ledger(&["r"]).await;
}

pub(super) async fn young_movements_are_kept<H: StockRetentionHarness>(h: H) {
    let purging = Purging::open(&h, &[("tee", 9), ("cap", 9)]).await;
    purging.shop.receive("tee", 1).await;
    assert_eq!(purging.movements().await, 0, "no movement is old");
    h.pass_time(PAST_KEEP).await;
    purging.shop.receive("tee", 4).await;
    let before = purging.movements_of("tee").await;
    assert_eq!(purging.movements().await, 3);
    let after = purging.movements_of("tee").await;
    assert_eq!(after.len(), 2, "{after:?}");
    assert_eq!(after[1], before[2], "young movements stay unchanged");
    assert_eq!(purging.movements_of("cap").await.len(), 1);
    purging.ledger(&[]).await;
}

pub(super) async fn each_level_has_an_opening_balance_of_its_own<H: StockRetentionHarness>(h: H) {
    let purging = Purging::open(&h, &[]).await;
    let [one, two] = h.locations();
    for (location, units) in [(&one, 1), (&two, 20), (&one, 2), (&two, 40), (&one, 4)] {
        purging.shop.receive_at("tee", location, units).await;
    }
    h.pass_time(PAST_KEEP).await;
    purging.shop.receive_at("tee", &two, 100).await;
    assert_eq!(purging.movements().await, 5);
    let mut left: Vec<(LocationId, i64)> = purging
        .movements_of("tee")
        .await
        .into_iter()
        .map(|movement| (movement.location, movement.delta.physical))
        .collect();
    left.sort();
    let mut expected = vec![(one, 7), (two.clone(), 60), (two, 100)];
    expected.sort();
    assert_eq!(left, expected);
    purging.ledger(&[]).await;
}

pub(super) async fn an_opening_balance_is_merged_into_the_next<H: StockRetentionHarness>(h: H) {
    let purging = Purging::open(&h, &[("tee", 1)]).await;
    for round in 1..4 {
        h.pass_time(PAST_KEEP).await;
        assert_eq!(
            purging.movements().await,
            1,
            "an earlier opening balance doesn't count"
        );
        let left = purging.movements_of("tee").await;
        assert_eq!(left.len(), 1, "{left:?}");
        assert_eq!(left[0].version.number, round);
        purging.shop.receive("tee", 1).await;
    }
    assert_eq!(purging.shop.counts("tee").await, (4, 0));
    purging.ledger(&[]).await;
}

pub(super) async fn a_purge_keeps_to_its_limit<H: StockRetentionHarness>(h: H) {
    let purging = Purging::open(&h, &[("tee", 1), ("cap", 1)]).await;
    for _ in 0..3 {
        purging.shop.receive("tee", 1).await;
        purging.shop.receive("cap", 1).await;
    }
    h.pass_time(PAST_KEEP).await;
    let mut count = 0;
    while count < 8 {
        let purged = purging.movements_once(3).await;
        count += purged.count;
        purging.ledger(&[]).await;
        assert!(
            count == 8 || purged.rest == Rest::More,
            "{count} of 8 old movements were replaced, and the store says that nothing is left"
        );
    }
    assert_eq!(purging.movements().await, 0, "all 8 were replaced");
    assert_eq!(purging.movements_of("tee").await.len(), 1);
    assert_eq!(purging.movements_of("cap").await.len(), 1);
}

pub(super) async fn a_purge_changes_no_level<H: StockRetentionHarness>(h: H) {
    let purging = every_state(&h).await;
    let before = purging.shop.stock("tee").await;
    h.pass_time(PAST_KEEP).await;
    assert!(purging.movements().await > 0 && purging.reservations().await > 0);
    assert_eq!(
        purging.shop.stock("tee").await,
        before,
        "a purge changed a level"
    );
    purging.ledger(&["held", "confirmed"]).await;
}

pub(super) async fn a_purged_operation_id_can_be_used_again<H: StockRetentionHarness>(h: H) {
    let purging = Purging::open(&h, &[]).await;
    let (old, young) = (
        adjustment("old", "tee", receive(10)),
        adjustment("young", "tee", receive(5)),
    );
    assert!(purging.shop.adjust(&old).await.is_ok());
    h.pass_time(PAST_KEEP).await;
    assert!(purging.shop.adjust(&young).await.is_ok());
    assert_eq!(purging.movements().await, 1);
    let repeated = purging.shop.adjust(&young).await;
    assert!(
        repeated.is_ok_and(|adjusted| adjusted.effect == Effect::Repeated),
        "the id of a young operation was removed"
    );
    let afresh = purging.shop.adjust(&old).await;
    let afresh = afresh.unwrap_or_else(|error| panic!("a purged operation is refused: {error}"));
    assert_eq!(
        afresh.effect,
        Effect::Applied,
        "its movement was purged, but {} is still known",
        operation("old")
    );
    assert_eq!(purging.shop.counts("tee").await, (25, 0));
    purging.ledger(&[]).await;
}

pub(super) async fn reserved_units_stay_when_their_movements_are_purged<
    H: StockRetentionHarness,
>(
    h: H,
) {
    let purging = Purging::open(&h, &[("tee", 9)]).await;
    purging.shop.hold("shipped", "tee", 2).await;
    purging.shop.hold("given-up", "tee", 1).await;
    for reservation in ["shipped", "given-up"] {
        purging.shop.must(reservation, Transition::Confirm).await;
    }
    h.pass_time(PAST_KEEP).await;
    assert_eq!(purging.movements().await, 3);
    purging.ledger(&["shipped", "given-up"]).await;
    purging.shop.must("shipped", Transition::Fulfil).await;
    purging.shop.must("given-up", Transition::Cancel).await;
    assert_eq!(purging.shop.counts("tee").await, (7, 0));
    purging.ledger(&["shipped", "given-up"]).await;
}

/// Adds up the movements of a page. An opening balance is the sum of all movements before it.
async fn read_on(
    purging: &Purging,
    counts: &mut Counts,
    after: Option<&Cursor>,
    limit: usize,
) -> Option<Cursor> {
    let page = purging
        .shop
        .store
        .movements(&sku("tee"), after, at_most(limit))
        .await;
    let page = page.unwrap_or_else(|error| panic!("a reader can not continue: {error}"));
    for movement in page.movements {
        if movement.is_opening_balance() {
            *counts = Counts::default();
        }
        let added = counts.after(movement.delta);
        *counts = added.unwrap_or_else(|| {
            panic!("a reader with {counts:?} after a purge can not apply {movement:?}")
        });
    }
    page.next
}

pub(super) async fn a_reader_continues_after_a_purge<H: StockRetentionHarness>(h: H) {
    let purging = Purging::open(&h, &[("tee", 4)]).await;
    for _ in 0..5 {
        purging.shop.receive("tee", 1).await;
    }
    h.pass_time(PAST_KEEP).await;
    purging.shop.receive("tee", 1).await;
    // The purge ends before, at and after the place where the reader stands.
    for _ in 0..6 {
        let mut counts = Counts::default();
        let cursor = read_on(&purging, &mut counts, None, 1).await;
        purging.one_movement().await;
        assert!(cursor.is_some(), "there is a second movement");
        read_on(&purging, &mut counts, cursor.as_ref(), 99).await;
        assert_eq!(
            counts.physical(),
            10,
            "the sum of a reader while movements are purged"
        );
    }
    purging.ledger(&[]).await;
}

pub(super) async fn concurrent_purges_share_the_movements<H: StockRetentionHarness>(h: H) {
    let purging = Purging::open(&h, &[]).await;
    let names = ["cap", "mug", "tee"];
    for name in names {
        for _ in 0..12 {
            purging.shop.receive(name, 1).await;
        }
    }
    h.pass_time(PAST_KEEP).await;
    let counts = together((0..8).map(|_| {
        let purging = purging.clone();
        async move { purging.movements_once(5).await.count }
    }))
    .await;
    let mut sum = counts.iter().sum::<usize>();
    while sum < 36 {
        let more = purging.movements().await;
        assert!(more > 0, "{sum} of 36 movements are purging, and no more");
        sum += more;
    }
    assert_eq!(sum, 36, "each is purged once: {counts:?}");
    for name in names {
        assert_eq!(purging.movements_of(name).await.len(), 1);
        assert_eq!(purging.shop.counts(name).await, (12, 0));
    }
    purging.ledger(&[]).await;
}

pub(super) async fn stock_changes_while_movements_are_purged<H: StockRetentionHarness>(h: H) {
    let purging = Purging::open(&h, &[("tee", 40)]).await;
    for _ in 0..20 {
        purging.shop.receive("tee", 1).await;
    }
    h.pass_time(PAST_KEEP).await;
    together((0..8).map(|caller| {
        let purging = purging.clone();
        async move {
            for number in 0..5 {
                if caller % 2 == 0 {
                    purging.movements_once(3).await;
                } else {
                    let name = format!("r{caller}-{number}");
                    purging.shop.hold(&name, "tee", 1).await;
                }
            }
        }
    }))
    .await;
    assert_eq!(purging.shop.counts("tee").await, (60, 20));
    purging.ledger(&[]).await;
}

pub(super) async fn a_purge_of_movements_says_whether_there_is_more<H: StockRetentionHarness>(
    h: H,
) {
    const MOVEMENTS: usize = 120;
    let purging = Purging::open(&h, &[]).await;
    let nothing = purging.movements_once(9).await;
    assert_eq!(
        (nothing.count, nothing.rest),
        (0, Rest::None),
        "there is no movement"
    );
    for number in 0..MOVEMENTS {
        let of = format!("sku-{}", number % 3);
        purging.shop.receive(&of, 1).await;
    }
    h.pass_time(PAST_KEEP).await;
    let first = purging.movements_once(7).await;
    assert_eq!(
        first.rest,
        Rest::More,
        "a purge of at most 7 leaves some of {MOVEMENTS}"
    );
    // The store may do less in a call than it is allowed.
    let rest = all(|| purging.movements_once(1_000)).await;
    assert_eq!(
        first.count + rest,
        MOVEMENTS,
        "the store said that nothing is left to purge; movements that were replaced"
    );
    purging.ledger(&[]).await;
}

pub(super) async fn a_movement_is_purged_exactly_when_it_is_old_enough<H: StockRetentionHarness>(
    h: H,
) {
    if !H::EXACT_TIME {
        return;
    }
    let purging = Purging::open(&h, &[("tee", 5)]).await;
    h.pass_time(KEEP - SHORTEST).await;
    assert_eq!(purging.movements().await, 0, "it is younger by 1 µs");
    h.pass_time(SHORTEST).await;
    assert_eq!(
        purging.movements().await,
        1,
        "the movement took effect exactly as long ago as it is kept: `at least` includes that time"
    );
    purging.ledger(&[]).await;
}

pub(super) async fn movements_continue_after_a_purge_and_a_close<
    H: StockRetentionHarness + Reopen,
>(
    h: H,
) {
    const LATER: usize = 6;
    let purging = Purging::open(&h, &[("cap", 2), ("tee", 5)]).await;
    for of in ["tee", "tee", "cap"] {
        purging.shop.receive(of, 1).await;
    }
    h.pass_time(PAST_KEEP).await;
    assert_eq!(purging.movements().await, 5);
    drop(purging);
    let h = h.reopen().await;
    let purging = Purging::open(&h, &[]).await;
    for n in 0..LATER {
        let later = adjustment(&format!("later-{n}"), "tee", receive(1));
        assert!(purging.shop.adjust(&later).await.is_ok());
    }
    for (of, count) in [("tee", 1 + LATER), ("cap", 1)] {
        assert_eq!(
            purging.movements_of(of).await.len(),
            count,
            "the opening balance of {of} and its movements after the purge and the close"
        );
    }
    purging.ledger(&[]).await;
}
