//! Times are those of the store's clock, read after the rows are locked.

use std::collections::BTreeMap;
use std::time::Duration;

use stockade_inventory_core::{Effect, Expiry, Transition};

use super::InventoryHarness;
use super::ledger::all_movements;
use super::shop::{Shop, adjustment, receive, sku};
use crate::{together, while_the_clock_runs};

pub(super) async fn times_of_movements_do_not_decrease<H: InventoryHarness>(h: H) {
    const WRITERS: usize = 16;
    const ROUNDS: usize = 12;
    let shop = Shop::open(&h, &[]).await;
    let writing = together((0..WRITERS).map(|writer| {
        let shop = shop.clone();
        async move {
            for round in 0..ROUNDS {
                let name = format!("op-{writer}-{round}");
                let adjusted = shop.adjust(&adjustment(&name, "tee", receive(1))).await;
                adjusted.unwrap_or_else(|error| panic!("a receive under contention: {error}"));
            }
        }
    }));
    while_the_clock_runs(&h, writing).await;
    let mut last = BTreeMap::new();
    for movement in all_movements(shop.store.as_ref(), &sku("tee")).await {
        if let Some((version, at)) =
            last.insert(movement.location.clone(), (movement.version, movement.at))
        {
            assert!(
                movement.at >= at,
                "movements run back in time: version {version} is of {at}, and version {} of {}; \
                 the clock has to be read after the rows are locked",
                movement.version,
                movement.at
            );
        }
    }
    shop.ledger().await;
}

pub(super) async fn times_keep_their_microseconds<H: InventoryHarness>(h: H) {
    let shop = Shop::open(&h, &[("tee", 9)]).await;
    // So that a clock that is moved by hand shows microseconds.
    h.pass_time(Duration::from_micros(1_234_567)).await;
    let held = shop.hold("r", "tee", 1).await;
    assert_eq!(
        shop.reservation("r").await,
        held,
        "the stored reservation has the returned times, to the microsecond"
    );
    let until = held.deadline.plus(Duration::from_micros(1));
    let extended = shop.extend("r", until).await;
    let extended = extended.unwrap_or_else(|error| panic!("extending failed: {error}"));
    assert_eq!(
        (extended.effect, extended.reservation.deadline),
        (Effect::Applied, until),
        "extended by a microsecond"
    );
    assert_eq!(
        shop.reservation("r").await.deadline,
        until,
        "the stored deadline is exact to the microsecond"
    );
    h.pass_time(Duration::from_micros(7)).await;
    let confirmed = shop.must("r", Transition::Confirm).await;
    assert_eq!(shop.reservation("r").await, confirmed.reservation);
    let received = shop.receive("tee", 1).await;
    assert_eq!(
        shop.stock("tee").await.changed_at(),
        received.movement.at,
        "the time of a level (left) is that of its last movement"
    );
    assert!(matches!(shop.expire("r").await, Expiry::Settled(_)));
    shop.ledger().await;
}
