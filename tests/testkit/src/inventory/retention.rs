//! What is long over is forgotten, and everything still adds up.

use std::sync::Arc;
use std::time::Duration;

use stockade_change_feed::Retry;
use stockade_inventory_core::{
    Counts, Cursor, Effect, InventoryError, LocationId, Movement, MovementCause, ReservationId,
    ReservationState, StockRetention, Transition,
};

use super::StockRetentionHarness;
use super::ledger::{all_movements, check_purged_ledger};
use super::shop::{PAST_SHORT, Shop, adjustment, id, operation, receive, sku, want};
use crate::together;

/// How long cases keep what they purge.
const KEEP: Duration = Duration::from_secs(5);
/// After which it is surely old.
const PAST_KEEP: Duration = Duration::from_millis(5_200);

/// A shop whose records are purged.
#[derive(Clone)]
struct Purged {
    shop: Shop,
    retention: Arc<dyn StockRetention>,
}

impl Purged {
    async fn open<H: StockRetentionHarness>(h: &H, stock: &[(&str, u64)]) -> Self {
        Self {
            shop: Shop::open(h, stock).await,
            retention: h.retention(),
        }
    }

    async fn reservations(&self, limit: usize) -> usize {
        persistently(|| self.retention.purge_reservations(KEEP, limit)).await
    }

    async fn movements(&self, limit: usize) -> usize {
        persistently(|| self.retention.purge_movements(KEEP, limit)).await
    }

    async fn movements_of(&self, of: &str) -> Vec<Movement> {
        all_movements(self.shop.store.as_ref(), &sku(of)).await
    }

    async fn is_unknown(&self, reservation: &str) -> bool {
        let found = self.shop.store.reservation(&id(reservation)).await;
        matches!(found, Err(InventoryError::UnknownReservation { .. }))
    }

    /// Ends a case: the ledger has to add up, with these reservations in it.
    async fn ledger(&self, reservations: &[&str]) {
        let ids: Vec<ReservationId> = reservations.iter().map(|name| id(name)).collect();
        check_purged_ledger(self.shop.store.as_ref(), &ids).await;
    }
}

/// Repeats a purge that lost against others.
async fn persistently<F>(purge: impl Fn() -> F) -> usize
where
    F: Future<Output = Result<usize, InventoryError>>,
{
    for _ in 0..200 {
        match purge().await {
            Ok(purged) => return purged,
            Err(error) if error.retry() == Retry::Never => panic!("purging failed: {error}"),
            Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    }
    panic!("purging fails again and again");
}

const LIVES: [(&str, &[Transition]); 5] = [
    ("held", &[]),
    ("confirmed", &[Transition::Confirm]),
    ("released", &[Transition::Release]),
    ("cancelled", &[Transition::Confirm, Transition::Cancel]),
    ("fulfilled", &[Transition::Confirm, Transition::Fulfil]),
];

/// A reservation in every state, of one tee each.
async fn every_state<H: StockRetentionHarness>(h: &H) -> Purged {
    let purged = Purged::open(h, &[("tee", 9)]).await;
    purged.shop.hold_shortly("expired", "tee", 1).await;
    h.pass_time(PAST_SHORT).await;
    assert_eq!(purged.shop.sweep(9).await.len(), 1);
    for (reservation, steps) in LIVES {
        purged.shop.hold(reservation, "tee", 1).await;
        for step in steps {
            purged.shop.must(reservation, *step).await;
        }
    }
    purged
}

pub(super) async fn what_is_finished_is_purged<H: StockRetentionHarness>(h: H) {
    let purged = every_state(&h).await;
    h.pass_time(PAST_KEEP).await;
    assert_eq!(purged.reservations(9).await, 4, "four are finished");
    for finished in ["expired", "released", "cancelled", "fulfilled"] {
        assert!(
            purged.is_unknown(finished).await,
            "{finished} was purged, and is still known"
        );
        let late = purged.shop.step(finished, Transition::Release).await;
        assert!(
            matches!(late, Err(InventoryError::UnknownReservation { .. })),
            "{late:?}"
        );
    }
    assert_eq!(purged.reservations(9).await, 0, "all were purged before");
    assert_eq!(purged.shop.counts("tee").await, (8, 2));
    purged.ledger(&["held", "confirmed"]).await;
}

pub(super) async fn what_is_live_is_kept<H: StockRetentionHarness>(h: H) {
    let purged = Purged::open(&h, &[("tee", 9)]).await;
    for reservation in ["held", "confirmed"] {
        purged.shop.hold(reservation, "tee", 1).await;
    }
    purged.shop.must("confirmed", Transition::Confirm).await;
    purged.shop.hold_shortly("overdue", "tee", 1).await;
    h.pass_time(PAST_KEEP).await;
    assert_eq!(
        purged.reservations(9).await,
        0,
        "what is held or confirmed was purged"
    );
    assert_eq!(purged.shop.state("held").await, ReservationState::Held);
    assert_eq!(purged.shop.sweep(9).await.len(), 1, "one is overdue");
    purged.shop.must("confirmed", Transition::Fulfil).await;
    assert_eq!(purged.shop.counts("tee").await, (8, 1));
    purged.shop.ledger().await;
}

pub(super) async fn a_reservation_is_kept_from_its_end_on<H: StockRetentionHarness>(h: H) {
    let purged = Purged::open(&h, &[("tee", 9)]).await;
    let request = want("r", "tee", 1);
    purged.shop.grant(&request).await;
    h.pass_time(PAST_KEEP).await;
    purged.shop.must("r", Transition::Release).await;
    assert_eq!(
        purged.reservations(9).await,
        0,
        "it was purged when it had just come to its end"
    );
    let again = purged.shop.reserve(&request).await;
    assert!(again.is_ok_and(|found| found.effect == Effect::Repeated));
    h.pass_time(PAST_KEEP).await;
    assert_eq!(purged.reservations(9).await, 1);
    assert!(purged.is_unknown("r").await);
    purged.ledger(&[]).await;
}

pub(super) async fn the_longest_finished_go_first<H: StockRetentionHarness>(h: H) {
    let purged = Purged::open(&h, &[("tee", 9)]).await;
    for reservation in ["a", "b", "c"] {
        purged.shop.hold(reservation, "tee", 1).await;
    }
    for reservation in ["b", "c", "a"] {
        purged.shop.must(reservation, Transition::Release).await;
        h.pass_time(Duration::from_millis(20)).await;
    }
    h.pass_time(PAST_KEEP).await;
    for (known, gone) in [(&["a", "c"][..], "b"), (&["a"], "c"), (&[], "a")] {
        assert_eq!(purged.reservations(1).await, 1, "the limit is 1");
        assert!(
            purged.is_unknown(gone).await,
            "{gone} is finished for longest"
        );
        purged.ledger(known).await;
    }
    assert_eq!(purged.reservations(1).await, 0);
}

pub(super) async fn a_purged_id_is_decided_afresh<H: StockRetentionHarness>(h: H) {
    let purged = Purged::open(&h, &[("tee", 9)]).await;
    purged.shop.hold("r", "tee", 1).await;
    purged.shop.must("r", Transition::Release).await;
    h.pass_time(PAST_KEEP).await;
    assert_eq!(purged.reservations(9).await, 1);
    let other = purged.shop.grant(&want("r", "tee", 2)).await;
    assert_eq!(other.state, ReservationState::Held);
    assert_eq!(purged.shop.counts("tee").await, (9, 2));
    assert_eq!(
        purged.reservations(9).await,
        0,
        "the new reservation was purged by the age of the one before"
    );
    purged.ledger(&["r"]).await;
}

pub(super) async fn concurrent_purges_share_the_reservations<H: StockRetentionHarness>(h: H) {
    let purged = Purged::open(&h, &[("tee", 40)]).await;
    for number in 0..40 {
        let name = format!("r{number}");
        purged.shop.hold(&name, "tee", 1).await;
        purged.shop.must(&name, Transition::Release).await;
    }
    h.pass_time(PAST_KEEP).await;
    let counts = together((0..8).map(|_| {
        let purged = purged.clone();
        async move { purged.reservations(7).await }
    }))
    .await;
    let left = purged.reservations(100).await;
    assert_eq!(
        counts.iter().sum::<usize>() + left,
        40,
        "each is purged once: {counts:?}, and then {left}"
    );
    purged.ledger(&[]).await;
}

pub(super) async fn old_movements_become_an_opening_balance<H: StockRetentionHarness>(h: H) {
    let purged = Purged::open(&h, &[("tee", 9)]).await;
    purged.shop.hold("r", "tee", 2).await;
    purged.shop.must("r", Transition::Confirm).await;
    purged.shop.receive("tee", 3).await;
    let before = purged.movements_of("tee").await;
    h.pass_time(PAST_KEEP).await;
    assert_eq!(purged.movements(9).await, 3);
    let after = purged.movements_of("tee").await;
    assert_eq!(after.len(), 1, "one opening balance is left: {after:?}");
    let (opening, last) = (&after[0], &before[2]);
    assert_eq!(opening.cause, MovementCause::OpeningBalance);
    assert_eq!(
        (opening.delta.physical, opening.delta.reserved),
        (12, 2),
        "the opening balance is the sum of what it stands for"
    );
    assert_eq!(
        (opening.version, opening.at),
        (last.version, last.at),
        "the opening balance has version and time of the last that it stands for"
    );
    assert_eq!(purged.movements(9).await, 0, "all were purged before");
    purged.ledger(&["r"]).await;
}

pub(super) async fn young_movements_stay<H: StockRetentionHarness>(h: H) {
    let purged = Purged::open(&h, &[("tee", 9), ("cap", 9)]).await;
    purged.shop.receive("tee", 1).await;
    assert_eq!(purged.movements(9).await, 0, "none is old");
    h.pass_time(PAST_KEEP).await;
    purged.shop.receive("tee", 4).await;
    let before = purged.movements_of("tee").await;
    assert_eq!(purged.movements(9).await, 3);
    let after = purged.movements_of("tee").await;
    assert_eq!(after.len(), 2, "{after:?}");
    assert_eq!(after[1], before[2], "what is young stays as it is");
    assert_eq!(purged.movements_of("cap").await.len(), 1);
    purged.ledger(&[]).await;
}

pub(super) async fn each_level_has_an_opening_balance_of_its_own<H: StockRetentionHarness>(h: H) {
    let purged = Purged::open(&h, &[]).await;
    let [one, two] = h.locations();
    for (location, units) in [(&one, 1), (&two, 20), (&one, 2), (&two, 40), (&one, 4)] {
        purged.shop.receive_at("tee", location, units).await;
    }
    h.pass_time(PAST_KEEP).await;
    purged.shop.receive_at("tee", &two, 100).await;
    assert_eq!(purged.movements(9).await, 5);
    let mut left: Vec<(LocationId, i64)> = purged
        .movements_of("tee")
        .await
        .into_iter()
        .map(|movement| (movement.location, movement.delta.physical))
        .collect();
    left.sort();
    let mut expected = vec![(one, 7), (two.clone(), 60), (two, 100)];
    expected.sort();
    assert_eq!(left, expected);
    purged.ledger(&[]).await;
}

pub(super) async fn an_opening_balance_goes_into_the_next<H: StockRetentionHarness>(h: H) {
    let purged = Purged::open(&h, &[("tee", 1)]).await;
    for round in 1..4 {
        h.pass_time(PAST_KEEP).await;
        assert_eq!(
            purged.movements(9).await,
            1,
            "an earlier opening balance doesn't count"
        );
        let left = purged.movements_of("tee").await;
        assert_eq!(left.len(), 1, "{left:?}");
        assert_eq!(left[0].version.number, round);
        purged.shop.receive("tee", 1).await;
    }
    assert_eq!(purged.shop.counts("tee").await, (4, 0));
    purged.ledger(&[]).await;
}

pub(super) async fn a_purge_keeps_to_its_limit<H: StockRetentionHarness>(h: H) {
    let purged = Purged::open(&h, &[("tee", 1), ("cap", 1)]).await;
    for _ in 0..3 {
        purged.shop.receive("tee", 1).await;
        purged.shop.receive("cap", 1).await;
    }
    h.pass_time(PAST_KEEP).await;
    for expected in [3, 3, 2, 0] {
        assert_eq!(
            purged.movements(3).await,
            expected,
            "eight are old, and the limit is 3"
        );
        purged.ledger(&[]).await;
    }
    assert_eq!(purged.movements_of("tee").await.len(), 1);
    assert_eq!(purged.movements_of("cap").await.len(), 1);
}

pub(super) async fn a_purge_changes_no_level<H: StockRetentionHarness>(h: H) {
    let purged = every_state(&h).await;
    let before = purged.shop.stock("tee").await;
    h.pass_time(PAST_KEEP).await;
    assert!(purged.movements(99).await > 0 && purged.reservations(99).await > 0);
    assert_eq!(
        purged.shop.stock("tee").await,
        before,
        "a purge changed a level"
    );
    purged.ledger(&["held", "confirmed"]).await;
}

pub(super) async fn purged_operations_are_decided_afresh<H: StockRetentionHarness>(h: H) {
    let purged = Purged::open(&h, &[]).await;
    let (old, young) = (
        adjustment("old", "tee", receive(10)),
        adjustment("young", "tee", receive(5)),
    );
    assert!(purged.shop.adjust(&old).await.is_ok());
    h.pass_time(PAST_KEEP).await;
    assert!(purged.shop.adjust(&young).await.is_ok());
    assert_eq!(purged.movements(9).await, 1);
    let repeated = purged.shop.adjust(&young).await;
    assert!(
        repeated.is_ok_and(|adjusted| adjusted.effect == Effect::Repeated),
        "a young operation was forgotten"
    );
    let afresh = purged.shop.adjust(&old).await;
    let afresh = afresh.unwrap_or_else(|error| panic!("a purged operation is refused: {error}"));
    assert_eq!(
        afresh.effect,
        Effect::Applied,
        "its movement was purged, and {} is still known",
        operation("old")
    );
    assert_eq!(purged.shop.counts("tee").await, (25, 0));
    purged.ledger(&[]).await;
}

pub(super) async fn what_is_reserved_outlives_its_movements<H: StockRetentionHarness>(h: H) {
    let purged = Purged::open(&h, &[("tee", 9)]).await;
    purged.shop.hold("shipped", "tee", 2).await;
    purged.shop.hold("given-up", "tee", 1).await;
    for reservation in ["shipped", "given-up"] {
        purged.shop.must(reservation, Transition::Confirm).await;
    }
    h.pass_time(PAST_KEEP).await;
    assert_eq!(purged.movements(9).await, 3);
    purged.ledger(&["shipped", "given-up"]).await;
    purged.shop.must("shipped", Transition::Fulfil).await;
    purged.shop.must("given-up", Transition::Cancel).await;
    assert_eq!(purged.shop.counts("tee").await, (7, 0));
    purged.ledger(&["shipped", "given-up"]).await;
}

/// Adds up what it reads: an opening balance stands for all before it.
async fn read_on(
    purged: &Purged,
    counts: &mut Counts,
    after: Option<&Cursor>,
    limit: usize,
) -> Option<Cursor> {
    let page = purged.shop.store.movements(&sku("tee"), after, limit).await;
    let page = page.unwrap_or_else(|error| panic!("a reader can not go on: {error}"));
    for movement in page.movements {
        if movement.is_opening_balance() {
            *counts = Counts::default();
        }
        let added = counts.after(movement.delta);
        *counts = added.unwrap_or_else(|| {
            panic!("a reader has {counts:?} after a purge, and meets {movement:?}")
        });
    }
    page.next
}

pub(super) async fn a_reader_goes_on_after_a_purge<H: StockRetentionHarness>(h: H) {
    let purged = Purged::open(&h, &[("tee", 4)]).await;
    for _ in 0..5 {
        purged.shop.receive("tee", 1).await;
    }
    h.pass_time(PAST_KEEP).await;
    purged.shop.receive("tee", 1).await;
    // The purge ends before, at and after the place where the reader stands.
    for steps in [1, 1, 1, 1, 1, 1] {
        let mut counts = Counts::default();
        let cursor = read_on(&purged, &mut counts, None, 1).await;
        assert_eq!(purged.movements(steps).await, steps);
        assert!(cursor.is_some(), "there is a second movement");
        read_on(&purged, &mut counts, cursor.as_ref(), 99).await;
        assert_eq!(
            counts.physical(),
            10,
            "what a reader adds up while movements are purged"
        );
    }
    purged.ledger(&[]).await;
}

pub(super) async fn concurrent_purges_share_the_movements<H: StockRetentionHarness>(h: H) {
    let purged = Purged::open(&h, &[]).await;
    let names = ["cap", "mug", "tee"];
    for name in names {
        for _ in 0..12 {
            purged.shop.receive(name, 1).await;
        }
    }
    h.pass_time(PAST_KEEP).await;
    let counts = together((0..8).map(|_| {
        let purged = purged.clone();
        async move { purged.movements(5).await }
    }))
    .await;
    let mut sum = counts.iter().sum::<usize>();
    while sum < 36 {
        let more = purged.movements(5).await;
        assert!(more > 0, "{sum} of 36 movements are purged, and no more");
        sum += more;
    }
    assert_eq!(sum, 36, "each is purged once: {counts:?}");
    for name in names {
        assert_eq!(purged.movements_of(name).await.len(), 1);
        assert_eq!(purged.shop.counts(name).await, (12, 0));
    }
    purged.ledger(&[]).await;
}

pub(super) async fn stock_changes_while_movements_are_purged<H: StockRetentionHarness>(h: H) {
    let purged = Purged::open(&h, &[("tee", 40)]).await;
    for _ in 0..20 {
        purged.shop.receive("tee", 1).await;
    }
    h.pass_time(PAST_KEEP).await;
    together((0..8).map(|caller| {
        let purged = purged.clone();
        async move {
            for number in 0..5 {
                if caller % 2 == 0 {
                    purged.movements(3).await;
                } else {
                    let name = format!("r{caller}-{number}");
                    purged.shop.hold(&name, "tee", 1).await;
                }
            }
        }
    }))
    .await;
    assert_eq!(purged.shop.counts("tee").await, (60, 20));
    purged.ledger(&[]).await;
}

pub(super) async fn a_purge_of_nothing_is_refused<H: StockRetentionHarness>(h: H) {
    let retention = h.retention();
    for refused in [
        retention.purge_reservations(KEEP, 0).await,
        retention.purge_movements(KEEP, 0).await,
    ] {
        assert!(
            matches!(refused, Err(InventoryError::Invalid { field: "limit", .. })),
            "{refused:?}"
        );
    }
}
