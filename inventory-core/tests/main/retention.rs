//! Old rows are purged, and the rows that are left add up.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use proptest::prelude::*;
use stockade_inventory_core::workers::Retention;
use stockade_inventory_core::*;

use crate::faults::{Fault, Faulty, Pace};
use crate::shop::*;

const DAY: Duration = Duration::from_secs(24 * 3600);

#[async_trait]
impl<S: StockRetention> StockRetention for Faulty<S> {
    async fn purge_reservations(
        &self,
        keep: Duration,
        limit: NonZeroUsize,
    ) -> Result<Purged, InventoryError> {
        let Some(limit) = self.pace.limit(limit) else {
            return Ok(Purged::new(0, Rest::More));
        };
        let purge = self.inner.purge_reservations(keep, limit);
        self.script.follow(purge).await
    }

    async fn purge_movements(
        &self,
        keep: Duration,
        limit: NonZeroUsize,
    ) -> Result<Purged, InventoryError> {
        let Some(limit) = self.pace.limit(limit) else {
            return Ok(Purged::new(0, Rest::More));
        };
        let purge = self.inner.purge_movements(keep, limit);
        self.script.follow(purge).await
    }
}

fn worker(shop: &Shop) -> Retention {
    Retention::new(Arc::new(shop.store.clone())).with_clock(shop.clock.clone())
}

async fn released(shop: &Shop, reservation: &str) {
    shop.reserve(reservation, "tee", 1).await;
    let release = step(reservation, Transition::Release);
    shop.store.transition(&release).await.unwrap();
}

async fn is_known(shop: &Shop, reservation: &str) -> bool {
    shop.store.reservation(&id(reservation)).await.is_ok()
}

#[tokio::test]
async fn a_pass_purges_everything_that_is_old_enough() {
    let shop = Shop::with(&[("tee", 50)]).await;
    for n in 0..7 {
        released(&shop, &format!("r{n}")).await;
    }
    shop.clock.advance(DAY * 31);
    released(&shop, "young").await;
    let retention = worker(&shop).with_batch(at_most(2));
    let purged = retention.purge().await.unwrap();
    assert_eq!((purged.reservations, purged.movements), (7, 0));
    shop.clock.advance(DAY * 60);
    let purged = retention.purge().await.unwrap();
    assert_eq!((purged.reservations, purged.movements), (1, 15));
    shop.clock.advance(DAY * 30);
    let purged = retention.purge().await.unwrap();
    assert_eq!((purged.reservations, purged.movements), (0, 2));
    assert_eq!(shop.causes("tee").await, [MovementCause::OpeningBalance]);
    assert_eq!(shop.counts("tee").await, (50, 0));
}

#[tokio::test]
async fn a_store_that_does_50_in_a_call_clears_1000_in_one_pass() {
    let shop = Shop::with(&[("tee", 5)]).await;
    for n in 0..1_000 {
        released(&shop, &format!("r{n}")).await;
    }
    shop.clock.advance(DAY * 91);
    let store = Faulty::new(shop.store.clone()).at_pace(Pace::AtMost(at_most(50)));
    let retention = Retention::new(Arc::new(store)).with_clock(shop.clock.clone());
    let pass = retention.purge().await.unwrap();
    assert_eq!((pass.reservations, pass.movements), (1_000, 2_001));
}

#[tokio::test]
async fn a_store_that_says_more_and_does_nothing_ends_the_pass() {
    let shop = Shop::with(&[("tee", 5)]).await;
    let store = Faulty::new(shop.store.clone()).at_pace(Pace::Stuck);
    let retention = Retention::new(Arc::new(store)).with_clock(shop.clock.clone());
    let error = retention.purge().await.unwrap_err().to_string();
    assert!(error.contains("did nothing in 10 calls"), "{error}");
}

#[tokio::test]
async fn movements_are_purged_also_where_reservations_can_not_be() {
    let shop = Shop::with(&[("tee", 5)]).await;
    released(&shop, "r").await;
    shop.clock.advance(DAY * 91);
    let store = Faulty::new(shop.store.clone());
    store.script.add(&[Fault::Silence]);
    let retention = Retention::new(Arc::new(store)).with_clock(shop.clock.clone());
    let mut passing = tokio::task::JoinSet::new();
    passing.spawn(async move { retention.purge().await });
    shop.pass_time_until(|| async { shop.causes("tee").await.len() == 1 })
        .await;
    let pass = passing.join_next().await.unwrap().unwrap();
    assert!(pass.is_err(), "{pass:?}");
    assert!(is_known(&shop, "r").await);
}

#[tokio::test]
async fn nothing_is_purged_within_a_day() {
    let shop = Shop::with(&[("tee", 5)]).await;
    released(&shop, "r").await;
    let retention = worker(&shop)
        .with_reservations_kept(Duration::ZERO)
        .with_movements_kept(Duration::ZERO);
    shop.clock.advance(DAY - seconds(1));
    let purged = retention.purge().await.unwrap();
    assert_eq!((purged.reservations, purged.movements), (0, 0));
    shop.clock.advance(seconds(1));
    let purged = retention.purge().await.unwrap();
    assert_eq!((purged.reservations, purged.movements), (1, 3));
}

#[tokio::test]
async fn a_failed_pass_is_repeated() {
    let shop = Shop::with(&[("tee", 5)]).await;
    released(&shop, "r").await;
    shop.clock.advance(DAY * 31);
    let store = Faulty::new(shop.store.clone());
    store
        .script
        .add(&[Fault::Refused, Fault::Silence, Fault::AnswerLost]);
    let retention = Retention::new(Arc::new(store.clone())).with_clock(shop.clock.clone());
    let mut running = tokio::task::JoinSet::new();
    running.spawn(retention.run(std::future::pending()));
    shop.pass_time_until(|| async { !is_known(&shop, "r").await })
        .await;
    assert!(store.script.is_over());
}

#[tokio::test]
async fn several_workers_purge_and_stop_at_the_signal() {
    let shop = Shop::with(&[("tee", 50)]).await;
    for n in 0..20 {
        released(&shop, &format!("r{n}")).await;
    }
    shop.clock.advance(DAY * 91);
    let mut running = tokio::task::JoinSet::new();
    let mut stops = Vec::new();
    for _ in 0..3 {
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        stops.push(stop);
        running.spawn(worker(&shop).with_batch(at_most(3)).run(async {
            let _ = stopped.await;
        }));
    }
    shop.pass_time_until(|| async { shop.causes("tee").await.len() == 1 })
        .await;
    released(&shop, "later").await;
    drop(stops);
    while let Some(ended) = running.join_next().await {
        ended.unwrap();
    }
    assert!(is_known(&shop, "later").await);
    assert_eq!(shop.counts("tee").await, (50, 0));
}

/// What happens in a history.
#[derive(Clone, Debug)]
enum Event {
    Receive(u8, u64),
    Reserve(u8, u64),
    Step(usize, Transition),
    Sweep,
    Wait(u64),
    PurgeReservations(u64, usize),
    PurgeMovements(u64, usize),
}

fn events() -> impl Strategy<Value = Event> {
    let transition = prop_oneof![
        3 => Just(Transition::Confirm),
        2 => Just(Transition::Fulfil),
        1 => Just(Transition::Release),
        1 => Just(Transition::Cancel),
    ];
    prop_oneof![
        3 => (0..4u8, 1..9u64).prop_map(|(level, units)| Event::Receive(level, units)),
        4 => (0..2u8, 1..4u64).prop_map(|(name, units)| Event::Reserve(name, units)),
        5 => (0..12usize, transition).prop_map(|(which, step)| Event::Step(which, step)),
        1 => Just(Event::Sweep),
        3 => (1..8u64).prop_map(Event::Wait),
        2 => (0..12u64, 1..6usize).prop_map(|(keep, limit)| Event::PurgeReservations(keep, limit)),
        3 => (0..12u64, 1..6usize).prop_map(|(keep, limit)| Event::PurgeMovements(keep, limit)),
    ]
}

async fn happens(shop: &Shop, number: usize, event: &Event) {
    let store = &shop.store;
    match event {
        Event::Receive(level, units) => {
            let change = StockChange::Receive(Quantity::new(*units).unwrap());
            let operation = OperationId::new(format!("o{number}")).unwrap();
            let reason = Reason::new("delivery").unwrap();
            let place = LocationId::new(format!("location-{}", level / 2)).unwrap();
            let adjustment = Adjustment::new(operation, tee(level % 2), change, reason).at(place);
            store
                .adjust(&[adjustment])
                .await
                .unwrap()
                .remove(0)
                .unwrap();
        }
        Event::Reserve(name, units) => {
            let request = request(&format!("r{number}"), tee(*name).as_str(), *units);
            let _ = store.reserve(&[request]).await;
        }
        Event::Step(back, transition) => {
            let name = format!("r{}", number.saturating_sub(*back));
            let _ = store.transition(&step(&name, *transition)).await;
        }
        Event::Sweep => drop(store.expire_overdue(at_most(9)).await.unwrap()),
        Event::Wait(time) => shop.clock.advance(seconds(*time)),
        Event::PurgeReservations(keep, limit) => {
            let purged = store
                .purge_reservations(seconds(*keep), at_most(*limit))
                .await;
            assert!(purged.unwrap().count <= *limit);
        }
        Event::PurgeMovements(keep, limit) => {
            let purged = store.purge_movements(seconds(*keep), at_most(*limit)).await;
            assert!(purged.unwrap().count <= *limit);
        }
    }
}

fn tee(name: u8) -> Sku {
    sku(&format!("tee-{name}"))
}

/// The movements that are left of each level add up to its counts and end with its version, and
/// as many units are reserved as the live reservations hold.
async fn adds_up(shop: &Shop, reservations: usize) {
    let mut held: BTreeMap<(Sku, LocationId), u64> = BTreeMap::new();
    for number in 0..reservations {
        let found = shop.store.reservation(&id(&format!("r{number}"))).await;
        for line in found
            .into_iter()
            .filter(|r| r.state.is_live())
            .flat_map(|r| r.lines)
        {
            *held.entry((line.sku, line.location)).or_default() += line.quantity.get();
        }
    }
    for stock in shop.store.scan(None, at_most(99)).await.unwrap().stock {
        let page = shop
            .store
            .movements(stock.sku(), None, at_most(999))
            .await
            .unwrap();
        for level in stock.levels() {
            let mut counts = Counts::default();
            let mut version = None;
            let here = page
                .movements
                .iter()
                .filter(|m| m.location == level.location);
            for movement in here {
                assert!(version.is_none() || !movement.is_opening_balance());
                assert!(version.is_none_or(|before| movement.version.number == before + 1));
                version = Some(movement.version.number);
                counts = counts.after(movement.delta).unwrap();
            }
            assert_eq!(
                (counts, version),
                (level.counts, Some(level.version.number))
            );
            let place = (level.sku.clone(), level.location.clone());
            assert_eq!(counts.reserved(), held.remove(&place).unwrap_or(0));
        }
    }
    assert!(held.is_empty(), "{held:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_ledger_adds_up_after_any_history_and_any_purge(
        events in prop::collection::vec(events(), 1..80),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let shop = Shop::with(&[]).await;
            for (number, event) in events.iter().enumerate() {
                happens(&shop, number, event).await;
                adds_up(&shop, number + 1).await;
            }
        });
    }
}
