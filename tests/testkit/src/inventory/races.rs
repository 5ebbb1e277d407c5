//! Concurrent calls have the outcomes of some sequential order.

use std::time::Duration;

use stockade_inventory_core::{
    Effect, Expiry, InventoryError, ReservationState, ReserveRequest, Reserved, Transition,
};

use super::InventoryHarness;
use super::shop::{Shop, line, short_lived, want, wants};
use crate::together;

type Outcome = Result<Reserved, InventoryError>;

async fn reserve_at_once(shop: &Shop, requests: Vec<ReserveRequest>) -> Vec<Outcome> {
    together(requests.into_iter().map(|request| {
        let shop = shop.clone();
        async move { shop.reserve(&request).await }
    }))
    .await
}

pub(super) async fn many_writers_have_one_winner<H: InventoryHarness>(h: H) {
    const WRITERS: usize = 64;
    let shop = Shop::open(&h, &[("tee", 1)]).await;
    let requests = (0..WRITERS).map(|n| want(&format!("writer-{n}"), "tee", 1));
    let outcomes = reserve_at_once(&shop, requests.collect()).await;
    let granted = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(
        granted, 1,
        "oversold: winners of the last unit among {WRITERS} writers"
    );
    for outcome in outcomes {
        assert!(
            matches!(outcome, Ok(_) | Err(InventoryError::Insufficient { .. })),
            "every other writer is refused with a shortage, not {outcome:?}"
        );
    }
    assert_eq!(shop.counts("tee").await, (1, 1));
    shop.ledger().await;
}

pub(super) async fn contention_never_oversells<H: InventoryHarness>(h: H) {
    const STOCK: u64 = 50;
    let shop = Shop::open(&h, &[("tee", STOCK)]).await;
    let size = |n: u64| n % 4 + 1;
    let requests = (0..96).map(|n| want(&format!("writer-{n}"), "tee", size(n)));
    let outcomes = reserve_at_once(&shop, requests.collect()).await;
    let (mut granted, mut least_refused) = (0, u64::MAX);
    for (n, outcome) in (0..).zip(&outcomes) {
        match outcome {
            Ok(_) => granted += size(n),
            Err(InventoryError::Insufficient { .. }) => least_refused = least_refused.min(size(n)),
            Err(error) => panic!("a reserve under contention failed: {error}"),
        }
    }
    assert!(
        granted <= STOCK,
        "oversold: {granted} units granted of {STOCK}"
    );
    let left = STOCK - granted;
    assert!(
        left < least_refused,
        "{least_refused} units refused, but {left} were left at the end"
    );
    assert_eq!(shop.counts("tee").await, (STOCK, granted));
    shop.ledger().await;
}

pub(super) async fn opposite_orders_do_not_deadlock<H: InventoryHarness>(h: H) {
    const SKUS: usize = 10;
    let names: Vec<String> = (0..SKUS).map(|n| format!("sku-{n}")).collect();
    let stock: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), 20)).collect();
    let shop = Shop::open(&h, &stock).await;
    let ordered = |caller: usize| {
        let mut order = names.clone();
        order.rotate_left(caller / 2 % SKUS);
        if caller % 2 == 1 {
            order.reverse();
        }
        order
    };
    let outcomes = together((0..48).map(|caller| {
        let (shop, order) = (shop.clone(), ordered(caller));
        async move {
            let requests: Vec<ReserveRequest> = if caller % 3 == 0 {
                let lines = order.iter().map(|name| line(name, 1));
                vec![wants(&format!("all-{caller}"), lines)]
            } else {
                let batch = order.iter().enumerate();
                batch
                    .map(|(n, name)| want(&format!("{caller}-{n}"), name, 1))
                    .collect()
            };
            shop.reserve_all(&requests).await
        }
    }))
    .await;
    for outcome in outcomes.iter().flatten() {
        assert!(
            matches!(outcome, Ok(_) | Err(InventoryError::Insufficient { .. })),
            "a reserve in the opposite order returned {outcome:?}"
        );
    }
    for name in &names {
        let (_, reserved) = shop.counts(name).await;
        assert_eq!(
            reserved, 20,
            "48 callers asked for one of 20 units of {name} each"
        );
    }
    shop.ledger().await;
}

pub(super) async fn concurrent_receives_all_count<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[]).await;
    together((0..64).map(|_| {
        let shop = shop.clone();
        async move { shop.receive("tee", 2).await }
    }))
    .await;
    assert_eq!(
        shop.counts("tee").await,
        (128, 0),
        "64 times 2 units were received at once"
    );
    shop.ledger().await;
}

pub(super) async fn churn_keeps_the_ledger<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[("cap", 6), ("tee", 6)]).await;
    together((0..24).map(|caller| {
        let shop = shop.clone();
        async move {
            for round in 0..4 {
                churn(&shop, caller, &format!("r-{caller}-{round}")).await;
            }
        }
    }))
    .await;
    shop.ledger().await;
}

async fn churn(shop: &Shop, caller: usize, reservation: &str) {
    if caller % 6 == 5 {
        shop.receive("tee", 1).await;
        return;
    }
    let request = wants(reservation, [line("cap", 1), line("tee", 1)]);
    match shop.reserve(&request).await {
        Ok(_) => {}
        Err(InventoryError::Insufficient { .. }) => return,
        Err(error) => panic!("a reserve during churn failed: {error}"),
    }
    match caller % 3 {
        0 => drop(shop.must(reservation, Transition::Release).await),
        1 => {
            shop.must(reservation, Transition::Confirm).await;
            shop.must(reservation, Transition::Cancel).await;
        }
        _ => {
            shop.must(reservation, Transition::Confirm).await;
            shop.must(reservation, Transition::Fulfil).await;
        }
    }
}

pub(super) async fn confirm_and_release_have_one_winner<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[("tee", 50)]).await;
    for round in 0..16 {
        let reservation = format!("r{round}");
        shop.hold(&reservation, "tee", 1).await;
        let steps = [Transition::Confirm, Transition::Release];
        let outcomes = together(steps.map(|step| {
            let (shop, reservation) = (shop.clone(), reservation.clone());
            async move { shop.step(&reservation, step).await }
        }))
        .await;
        let state = shop.state(&reservation).await;
        match outcomes.as_slice() {
            [Ok(won), Err(InventoryError::WrongState { actual, .. })]
            | [Err(InventoryError::WrongState { actual, .. }), Ok(won)] => {
                assert_eq!(won.effect, Effect::Applied);
                assert_eq!(won.reservation.state, state, "the winner's state is kept");
                assert_eq!(
                    *actual, state,
                    "the error of the loser names the state of the winner"
                );
            }
            other => panic!("confirm and release at once: {other:?}"),
        }
    }
    shop.ledger().await;
}

pub(super) async fn confirm_and_expire_have_one_winner<H: InventoryHarness>(h: H) {
    const RACES: usize = 12;
    let shop = Shop::open(&h, &[("tee", 50)]).await;
    shop.hold("neighbour", "tee", 5).await;
    let names: Vec<String> = (0..RACES).map(|n| format!("r{n}")).collect();
    let requests = names
        .iter()
        .map(|name| want(name, "tee", 1).with_ttl(short_lived()));
    let granted = shop.reserve_all(&requests.collect::<Vec<_>>()).await;
    assert!(granted.iter().all(Result::is_ok), "{granted:?}");
    h.pass_time(Duration::from_millis(950)).await;

    // The deadline comes while confirmations and expiries are under way.
    let passing = async {
        for _ in 0..10 {
            h.pass_time(Duration::from_millis(10)).await;
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let races = together((0..).zip(&names).flat_map(|(n, name)| {
        let confirms_after = Duration::from_millis(8 * n);
        [Some(confirms_after), None].map(|confirms| race(shop.clone(), name.clone(), confirms))
    }));
    let (outcomes, ()) = futures::join!(races, passing);

    for (name, pair) in names.iter().zip(outcomes.chunks(2)) {
        let state = shop.state(name).await;
        let [confirmed, expired] = pair else {
            panic!("two callers have two outcomes");
        };
        match (state, confirmed, expired) {
            (ReservationState::Confirmed, Ran::Confirmed(Ok(_)), Ran::Expired(0))
            | (
                ReservationState::Expired,
                Ran::Confirmed(Err(InventoryError::WrongState {
                    actual: ReservationState::Expired,
                    ..
                })),
                Ran::Expired(0 | 1),
            ) => {}
            other => panic!("confirm and expire of {name} at once, and the outcomes: {other:?}"),
        }
    }
    shop.ledger().await;
}

#[derive(Debug)]
enum Ran {
    Confirmed(Result<(), InventoryError>),
    /// How often it expired by this caller.
    Expired(usize),
}

/// Confirms after a while, or else tries to expire it until it is settled.
async fn race(shop: Shop, name: String, confirms_after: Option<Duration>) -> Ran {
    if let Some(after) = confirms_after {
        tokio::time::sleep(after).await;
        return Ran::Confirmed(shop.step(&name, Transition::Confirm).await.map(drop));
    }
    let mut expired = 0;
    loop {
        match shop.expire(&name).await {
            Expiry::Expired(_) => expired += 1,
            Expiry::NotDue { .. } => tokio::task::yield_now().await,
            Expiry::Settled(_) => return Ran::Expired(expired),
            Expiry::Unknown => panic!("{name} is unknown"),
        }
    }
}

pub(super) async fn one_id_with_two_contents_has_one_winner<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[("cap", 99), ("tee", 99)]).await;
    let of = |caller: usize| ["cap", "tee"][caller % 2];
    let requests = (0..32).map(|caller| want("r", of(caller), 2));
    let outcomes = reserve_at_once(&shop, requests.collect()).await;
    let winner = shop.reservation("r").await.lines[0].sku.clone();
    for (caller, outcome) in outcomes.iter().enumerate() {
        let told_right = if of(caller) == winner.as_str() {
            outcome.is_ok()
        } else {
            matches!(outcome, Err(InventoryError::ReservationConflict { .. }))
        };
        assert!(
            told_right,
            "{winner} won the id, but {} got {outcome:?}",
            of(caller)
        );
    }
    let applied = |outcome: &&Outcome| {
        outcome
            .as_ref()
            .is_ok_and(|granted| granted.effect == Effect::Applied)
    };
    assert_eq!(
        outcomes.iter().filter(applied).count(),
        1,
        "grants under one id"
    );
    shop.ledger().await;
}

pub(super) async fn the_levels_of_a_sku_are_one_snapshot<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[]).await;
    for location in h.locations() {
        shop.receive_at("tee", &location, 20).await;
    }
    let [first, second] = h.locations();
    together((0..8).map(|caller| {
        let (shop, first, second) = (shop.clone(), first.clone(), second.clone());
        async move {
            for round in 0..12 {
                if caller % 2 == 0 {
                    let name = format!("r-{caller}-{round}");
                    let lines = [&first, &second].map(|at| line("tee", 1).at(at.clone()));
                    shop.grant(&wants(&name, lines)).await;
                    shop.must(&name, Transition::Release).await;
                } else {
                    let stock = shop.stock("tee").await;
                    let reserved = stock.levels().iter().map(|level| level.counts.reserved());
                    let reserved: Vec<u64> = reserved.collect();
                    assert!(
                        reserved.len() == 2 && reserved[0] == reserved[1],
                        "each reservation takes one unit from both locations, and {reserved:?} \
                         are reserved there: half of one was seen"
                    );
                }
            }
        }
    }))
    .await;
    shop.ledger().await;
}

pub(super) async fn a_dropped_call_took_effect_whole_or_not_at_all<H: InventoryHarness>(h: H) {
    const CALLS: u64 = 32;
    let shop = Shop::open(&h, &[("cap", 999), ("tee", 999)]).await;
    let request = |n: u64| wants(&format!("r{n}"), [line("cap", 1), line("tee", 2)]);
    for n in 0..CALLS {
        let (shop, request) = (shop.clone(), request(n));
        let call = tokio::spawn(async move { shop.reserve(&request).await.map(drop) });
        tokio::time::sleep(Duration::from_micros(n * 40)).await;
        call.abort();
        // It was dropped, or it had ended before.
        let _ = call.await;
    }
    // A dropped call may still take effect; the repeated call finds it.
    for n in 0..CALLS {
        let found = shop.reserve(&request(n)).await;
        let found = found.unwrap_or_else(|error| panic!("the repeated call failed: {error}"));
        assert_eq!(found.reservation.lines.len(), 2);
    }
    assert_eq!(shop.counts("cap").await, (999, CALLS));
    assert_eq!(shop.counts("tee").await, (999, 2 * CALLS));
    shop.ledger().await;
}
