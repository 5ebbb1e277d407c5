//! Sweeps find overdue reservations, and say whether there are more.

use std::collections::BTreeSet;
use std::time::Duration;

use stockade_inventory_core::{
    InventoryError, Reservation, ReservationState, Rest, Sweep, Transition, Ttl,
};

use super::InventoryHarness;
use super::shop::{PAST_SHORT, Shop, at_most, id, short_lived, want};
use crate::together;

pub(super) async fn concurrent_sweeps_share_the_overdue_reservations<H: InventoryHarness>(h: H) {
    const OVERDUE: usize = 60;
    let shop = Shop::open(&h, &[("tee", 100)]).await;
    shop.hold("neighbour", "tee", 5).await;
    overdue(&shop, OVERDUE).await;
    h.pass_time(PAST_SHORT).await;
    let swept = together((0..4).map(|_| {
        let shop = shop.clone();
        async move {
            let mut mine: Vec<Reservation> = Vec::new();
            loop {
                let swept = shop.sweep(7).await;
                assert!(
                    swept.len() <= 7,
                    "a sweep of at most 7 expired {}",
                    swept.len()
                );
                if swept.is_empty() {
                    return mine;
                }
                mine.extend(swept);
            }
        }
    }))
    .await;
    // A sweep may leave out what another one has locked.
    let rest = sweep_all(&shop, OVERDUE).await;
    let swept: Vec<_> = swept.into_iter().flatten().chain(rest).collect();
    let distinct: BTreeSet<_> = swept.iter().map(|reservation| &reservation.id).collect();
    assert_eq!(
        swept.len(),
        distinct.len(),
        "reservations that expired twice: {swept:?}"
    );
    assert_eq!(swept.len(), OVERDUE, "overdue reservations that expired");
    assert_eq!(shop.counts("tee").await, (100, 5));
    shop.ledger().await;
}

/// Holds units for a second, one each.
async fn overdue(shop: &Shop, reservations: usize) {
    let requests: Vec<_> = (0..reservations)
        .map(|n| want(&format!("r{n:03}"), "tee", 1).with_ttl(short_lived()))
        .collect();
    for granted in shop.reserve_all(&requests).await {
        granted.unwrap_or_else(|error| panic!("a request was not granted: {error}"));
    }
}

/// Sweeps until the store says that nothing is left, and returns what expired.
async fn sweep_all(shop: &Shop, limit: usize) -> Vec<Reservation> {
    let mut expired = Vec::new();
    for _ in 0..1_000 {
        let Sweep { outcomes, rest, .. } = shop.sweep_once(limit).await;
        expired.extend(outcomes.into_iter().flatten());
        if rest == Rest::None {
            return expired;
        }
    }
    panic!("the store says after 1000 sweeps of {limit} that more is overdue");
}

pub(super) async fn a_sweep_says_whether_there_is_more<H: InventoryHarness>(h: H) {
    const OVERDUE: usize = 120;
    let shop = Shop::open(&h, &[("tee", 200)]).await;
    shop.hold("held", "tee", 1).await;
    let sweep = shop.sweep_once(10).await;
    assert!(
        sweep.outcomes.is_empty() && sweep.rest == Rest::None,
        "nothing is overdue, but the sweep is {sweep:?}"
    );
    overdue(&shop, OVERDUE).await;
    h.pass_time(PAST_SHORT).await;
    let first = shop.sweep_once(7).await;
    assert_eq!(
        first.rest,
        Rest::More,
        "a sweep of at most 7 leaves some of {OVERDUE}"
    );
    // The store may do less in a call than it is allowed.
    let rest = sweep_all(&shop, 1_000).await;
    assert_eq!(
        first.outcomes.len() + rest.len(),
        OVERDUE,
        "the store said that no overdue reservation is left; those that expired"
    );
    assert_eq!(shop.counts("tee").await, (200, 1));
    shop.ledger().await;
}

pub(super) async fn the_longest_overdue_expire_first<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[("tee", 9)]).await;
    for (reservation, ms) in [
        ("b-third", 1_900),
        ("c-first", 1_000),
        ("later", 60_000),
        ("a-second", 1_400),
    ] {
        let ttl = Ttl::new(Duration::from_millis(ms)).expect("over a second");
        shop.grant(&want(reservation, "tee", 1).with_ttl(ttl)).await;
    }
    h.pass_time(Duration::from_millis(2_200)).await;
    let mut order = Vec::new();
    for _ in 0..4 {
        let swept = shop.sweep(2).await;
        assert!(swept.len() <= 2, "at most 2 were asked for: {swept:?}");
        order.extend(swept.into_iter().map(|reservation| reservation.id));
    }
    // Neither the order of their ids nor that of their grants.
    assert_eq!(order, [id("c-first"), id("a-second"), id("b-third")]);
    shop.ledger().await;
}

pub(super) async fn old_deadlines_hide_no_overdue_reservation<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[("tee", 9)]).await;
    // Each of these had an earlier deadline than the last one, and has none in the past any more.
    for reservation in ["extended", "confirmed", "released"] {
        shop.hold_shortly(reservation, "tee", 1).await;
    }
    h.pass_time(Duration::from_millis(10)).await;
    shop.hold_shortly("overdue", "tee", 1).await;
    let later = shop.reservation("extended").await.deadline;
    let extended = shop
        .extend("extended", later.plus(Duration::from_secs(3_600)))
        .await;
    assert!(extended.is_ok(), "{extended:?}");
    shop.must("confirmed", Transition::Confirm).await;
    shop.must("released", Transition::Release).await;
    h.pass_time(PAST_SHORT).await;
    let mut swept = Vec::new();
    for _ in 0..20 {
        swept.extend(shop.sweep(1).await.into_iter().map(|it| it.id));
    }
    assert_eq!(
        swept,
        [id("overdue")],
        "sweeps of one reservation: earlier deadlines of other reservations hid the overdue one"
    );
    assert_eq!(shop.counts("tee").await, (9, 2));
    shop.ledger().await;
}

pub(super) async fn a_sweep_skips_reservations_that_change_meanwhile<H: InventoryHarness>(h: H) {
    const RACES: usize = 12;
    let shop = Shop::open(&h, &[("tee", 100)]).await;
    // Units that come back twice are then too many, and not an error of the ledger.
    shop.hold("neighbour", "tee", 60).await;
    let names: Vec<String> = (0..RACES).map(|n| format!("r{n}")).collect();
    let confirmed = names
        .iter()
        .map(|name| want(name, "tee", 1).with_ttl(short_lived()));
    // Sweeps race for these among themselves, for each at a time of its own.
    let left: Vec<String> = (0..RACES).map(|n| format!("s{n}")).collect();
    let ttl = |n| short_lived().get() + Duration::from_millis(10) * n;
    let left_alone = (0..).zip(&left).map(|(n, name)| {
        let ttl = Ttl::new(ttl(n)).expect("a valid time to live");
        want(name, "tee", 1).with_ttl(ttl)
    });
    let requests: Vec<_> = confirmed.chain(left_alone).collect();
    let granted = shop.reserve_all(&requests).await;
    assert!(granted.iter().all(Result::is_ok), "{granted:?}");
    h.pass_time(Duration::from_millis(950)).await;

    // The deadline comes while the calls are under way.
    let passing = async {
        for _ in 0..12 {
            h.pass_time(Duration::from_millis(10)).await;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let confirming = together((0..).zip(&names).map(|(n, name)| {
        let (shop, name) = (shop.clone(), name.clone());
        async move {
            tokio::time::sleep(Duration::from_millis(10 * n)).await;
            shop.step(&name, Transition::Confirm).await.map(drop)
        }
    }));
    let sweeping = together((0..3).map(|_| {
        let shop = shop.clone();
        async move {
            let mut mine = Vec::new();
            for _ in 0..60 {
                mine.extend(shop.sweep(5).await.into_iter().map(|it| it.id));
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
            mine
        }
    }));
    let (confirmed, swept, ()) = futures::join!(confirming, sweeping, passing);

    let swept: Vec<_> = swept.into_iter().flatten().collect();
    for (name, confirmed) in names.iter().zip(confirmed) {
        let state = shop.state(name).await;
        let times = swept.iter().filter(|id| id.as_str() == name).count();
        match (&confirmed, state) {
            (Ok(()), ReservationState::Confirmed) if times == 0 => {}
            (
                Err(InventoryError::WrongState {
                    actual: ReservationState::Expired,
                    ..
                }),
                ReservationState::Expired,
            ) if times <= 1 => {}
            _ => panic!(
                "{name} was confirmed while sweeps ran: {confirmed:?}; it is {state}, and {times} concurrent \
                 sweeps expired it"
            ),
        }
    }
    for name in &left {
        let times = swept.iter().filter(|id| id.as_str() == name).count();
        assert!(times <= 1, "{name}: {times} concurrent sweeps expired it");
    }
    shop.ledger().await;
}

impl Shop {
    /// A sweep, as the store answers it.
    async fn sweep_once(&self, limit: usize) -> Sweep {
        let sweep = self.store.expire_overdue(at_most(limit)).await;
        let sweep = sweep.unwrap_or_else(|error| panic!("expire_overdue failed: {error}"));
        assert!(
            sweep.outcomes.len() <= limit,
            "a sweep of at most {limit} has {} outcomes",
            sweep.outcomes.len()
        );
        sweep
    }
}
