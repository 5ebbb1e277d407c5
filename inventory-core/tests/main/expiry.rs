//! Reservations whose deadline passes.

use std::sync::Arc;
use std::time::Duration;

use stockade_change_feed::Clock;
use stockade_inventory_core::workers::ExpiryWorker;
use stockade_inventory_core::*;

use crate::faults::{Fault, Faulty, Pace};
use crate::shop::*;

/// So long that no sweep comes, only timers.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);

fn worker(shop: &Shop) -> ExpiryWorker {
    let (store, timer) = (Arc::new(shop.store.clone()), Arc::new(shop.timer.clone()));
    ExpiryWorker::new(store, timer).with_clock(shop.clock.clone())
}

/// A worker in the background, until it is dropped.
fn start(worker: ExpiryWorker) -> tokio::task::JoinSet<()> {
    let mut running = tokio::task::JoinSet::new();
    running.spawn(worker.run(std::future::pending()));
    running
}

async fn hold(shop: &Shop, reservation: &str, units: u64) {
    let inventory = shop.inventory(Arc::new(shop.store.clone()));
    inventory
        .reserve(request(reservation, "tee", units))
        .await
        .unwrap();
}

async fn expires(shop: &Shop, reservation: &str) {
    shop.pass_time_until(|| async { shop.state(reservation).await == ReservationState::Expired })
        .await;
}

#[tokio::test]
async fn two_workers_expire_each_reservation_once() {
    let shop = Shop::with(&[("tee", 50)]).await;
    let _running = [
        start(worker(&shop).with_batch(at_most(3))),
        start(worker(&shop).with_batch(at_most(3))),
    ];
    for n in 0..20 {
        hold(&shop, &format!("r{n}"), 2).await;
    }
    for n in 0..20 {
        expires(&shop, &format!("r{n}")).await;
    }
    shop.pass_time(seconds(300)).await;
    assert_eq!(shop.counts("tee").await, (50, 0));
    let causes = shop.causes("tee").await;
    let expired = causes
        .iter()
        .filter(|cause| matches!(cause, MovementCause::Expired(_)));
    assert_eq!(expired.count(), 20);
}

#[tokio::test]
async fn a_timer_expires_in_time() {
    let shop = Shop::with(&[("tee", 5)]).await;
    let _running = start(worker(&shop).with_sweep_interval(NEVER));
    hold(&shop, "r", 5).await;
    shop.pass_time(seconds(9)).await;
    assert_eq!(shop.state("r").await, ReservationState::Held);
    expires(&shop, "r").await;
    assert!(shop.clock.monotonic() < seconds(12));
}

#[tokio::test]
async fn an_early_timer_is_set_again() {
    let shop = Shop::with(&[("tee", 5)]).await;
    let _running = start(worker(&shop).with_sweep_interval(NEVER));
    hold(&shop, "r", 5).await;
    // In the store only, so the timer does not know.
    let until = shop.clock.now().plus(seconds(100));
    let (acting_for, id) = (ActingFor::Anyone, id("r"));
    let extend = ExtendRequest {
        id,
        until,
        acting_for,
    };
    shop.store.extend(&extend).await.unwrap();
    shop.pass_time(seconds(95)).await;
    assert_eq!(shop.state("r").await, ReservationState::Held);
    expires(&shop, "r").await;
    assert!(shop.clock.monotonic() < seconds(105));
}

#[tokio::test]
async fn a_timer_of_a_settled_or_unknown_reservation_does_nothing() {
    let shop = Shop::with(&[("tee", 5)]).await;
    let _running = start(worker(&shop));
    hold(&shop, "paid", 1).await;
    shop.store
        .transition(&step("paid", Transition::Confirm))
        .await
        .unwrap();
    shop.timer
        .arm(&[(id("nobody's"), seconds(1)), (id("paid"), seconds(1))])
        .await
        .unwrap();
    shop.pass_time(seconds(200)).await;
    assert_eq!(shop.state("paid").await, ReservationState::Confirmed);
    assert_eq!(shop.counts("tee").await, (5, 1));
}

#[tokio::test]
async fn a_lost_timer_is_found_by_the_sweep() {
    let shop = Shop::with(&[("tee", 50)]).await;
    for n in 0..7 {
        shop.reserve(&format!("r{n}"), "tee", 1).await;
    }
    let _running = start(worker(&shop).with_batch(at_most(2)));
    for n in 0..7 {
        expires(&shop, &format!("r{n}")).await;
    }
    assert!(
        shop.clock.monotonic() < seconds(10 + 91),
        "one sweep takes all pages"
    );
}

/// A worker over a store at this pace, with 1,000 overdue reservations.
async fn with_1000_overdue(shop: &Shop, pace: Pace) -> ExpiryWorker {
    for n in 0..1_000 {
        shop.reserve(&format!("r{n}"), "tee", 1).await;
    }
    shop.clock.advance(seconds(10));
    let store = Faulty::new(shop.store.clone()).at_pace(pace);
    ExpiryWorker::new(Arc::new(store), Arc::new(shop.timer.clone())).with_clock(shop.clock.clone())
}

#[tokio::test]
async fn a_store_that_does_50_in_a_call_expires_1000_in_one_sweep() {
    let shop = Shop::with(&[("tee", 1_000)]).await;
    let worker = with_1000_overdue(&shop, Pace::AtMost(at_most(50))).await;
    assert_eq!(worker.sweep().await.unwrap(), 1_000);
    assert_eq!(shop.counts("tee").await, (1_000, 0));
}

#[tokio::test]
async fn a_store_that_says_more_and_does_nothing_ends_the_sweep() {
    let shop = Shop::with(&[("tee", 1_000)]).await;
    let worker = with_1000_overdue(&shop, Pace::Stuck).await;
    let error = worker.sweep().await.unwrap_err().to_string();
    assert!(error.contains("did nothing in 10 calls"), "{error}");
}

#[tokio::test]
async fn the_overdue_expire_when_a_worker_starts() {
    let shop = Shop::with(&[("tee", 5)]).await;
    shop.reserve("r", "tee", 1).await;
    shop.clock.advance(seconds(10));
    assert_eq!(worker(&shop).sweep().await.unwrap(), 1);
    shop.reserve("s", "tee", 1).await;
    shop.clock.advance(seconds(10));
    let _running = start(worker(&shop).with_sweep_interval(NEVER));
    expires(&shop, "s").await;
    assert!(shop.clock.monotonic() < seconds(22));
}

#[tokio::test]
async fn a_store_that_fails_loses_no_timer() {
    let shop = Shop::with(&[("tee", 5)]).await;
    let store = Faulty::new(shop.store.clone());
    let timer = Arc::new(shop.timer.clone());
    let faulty = ExpiryWorker::new(Arc::new(store.clone()), timer)
        .with_clock(shop.clock.clone())
        .with_sweep_interval(NEVER);
    hold(&shop, "r", 5).await;
    let _running = start(faulty);
    shop.pass_time(seconds(5)).await;
    store
        .script
        .add(&[Fault::Refused, Fault::Silence, Fault::Refused]);
    expires(&shop, "r").await;
    assert!(store.script.is_over());
    assert!(shop.clock.monotonic() < seconds(60));
}

#[tokio::test]
async fn a_failed_sweep_is_repeated() {
    let shop = Shop::with(&[("tee", 5)]).await;
    let store = Faulty::new(shop.store.clone());
    store
        .script
        .add(&[Fault::Refused, Fault::AnswerLost, Fault::Silence]);
    let timer = Arc::new(shop.timer.clone());
    let faulty = ExpiryWorker::new(Arc::new(store), timer).with_clock(shop.clock.clone());
    shop.reserve("r", "tee", 1).await;
    shop.clock.advance(seconds(10));
    let _running = start(faulty);
    expires(&shop, "r").await;
    assert_eq!(shop.counts("tee").await, (5, 0));
}

#[tokio::test]
async fn a_worker_stops_at_the_signal() {
    let shop = Shop::with(&[("tee", 5)]).await;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(worker(&shop).run(async {
        let _ = stopped.await;
    }));
    shop.pass_time(seconds(100)).await;
    assert!(!running.is_finished());
    stop.send(()).unwrap();
    running.await.unwrap();
}
