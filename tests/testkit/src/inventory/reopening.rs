//! Returned effects survive a close.

use std::time::Duration;

use stockade_inventory_core::{
    Effect, Expiry, InventoryError, ReservationState, StockChange, Transition,
};

use super::InventoryHarness;
use super::ledger::all_movements;
use super::shop::{PAST_SHORT, Shop, adjustment, line, receive, sku, want, wants};
use crate::{Reopen, together};

/// Closes the store and opens its data again.
async fn again<H: InventoryHarness + Reopen>(h: H, shop: Shop) -> (H, Shop) {
    drop(shop);
    let h = h.reopen().await;
    let shop = Shop::new(h.store());
    (h, shop)
}

pub(super) async fn stock_and_movements_survive<H: InventoryHarness + Reopen>(h: H) {
    let shop = Shop::open(&h, &[("cap", 3), ("tee", 5)]).await;
    let [location, _] = h.locations();
    shop.receive_at("tee", &location, 4).await;
    shop.hold("r", "tee", 2).await;
    let (stock, movements) = (shop.stock("tee").await, tee_movements(&shop).await);
    let (_h, shop) = again(h, shop).await;
    assert_eq!(shop.stock("tee").await, stock);
    assert_eq!(tee_movements(&shop).await, movements);
    assert_eq!(shop.counts("cap").await, (3, 0));
    let set = adjustment("set", "tee", StockChange::Set(9));
    assert!(
        shop.adjust(&set).await.is_ok(),
        "stock can be changed after opening it again"
    );
    shop.ledger().await;
}

async fn tee_movements(shop: &Shop) -> Vec<stockade_inventory_core::Movement> {
    all_movements(shop.store.as_ref(), &sku("tee")).await
}

pub(super) async fn every_state_survives<H: InventoryHarness + Reopen>(h: H) {
    let shop = Shop::open(&h, &[("tee", 20)]).await;
    let (confirm, release) = (Transition::Confirm, Transition::Release);
    let lives: [(&str, &[Transition]); 5] = [
        ("held", &[]),
        ("confirmed", &[confirm]),
        ("released", &[release]),
        ("cancelled", &[confirm, Transition::Cancel]),
        ("fulfilled", &[confirm, Transition::Fulfil]),
    ];
    for (reservation, steps) in lives {
        shop.hold(reservation, "tee", 2).await;
        for step in steps {
            shop.must(reservation, *step).await;
        }
    }
    let mut before = Vec::new();
    for (reservation, _) in lives {
        before.push(shop.reservation(reservation).await);
    }
    let (_h, shop) = again(h, shop).await;
    for reservation in before {
        assert_eq!(shop.reservation(reservation.id.as_str()).await, reservation);
    }
    shop.must("held", confirm).await;
    shop.must("confirmed", Transition::Fulfil).await;
    assert!(
        shop.step("fulfilled", release).await.is_err(),
        "a fulfilled reservation was released"
    );
    shop.ledger().await;
}

pub(super) async fn reservation_ids_survive<H: InventoryHarness + Reopen>(h: H) {
    let shop = Shop::open(&h, &[("tee", 1)]).await;
    let request = want("winner", "tee", 1);
    let first = shop.grant(&request).await;
    let (_h, shop) = again(h, shop).await;
    let found = shop.reserve(&request).await;
    let found = found.unwrap_or_else(|error| {
        panic!("the owner of the last unit repeated its request after a restart: {error}")
    });
    assert_eq!((found.effect, found.reservation), (Effect::Repeated, first));
    let other = shop.reserve(&want("winner", "tee", 2)).await;
    assert!(
        matches!(other, Err(InventoryError::ReservationConflict { .. })),
        "{other:?}"
    );
    shop.ledger().await;
}

pub(super) async fn operation_ids_survive<H: InventoryHarness + Reopen>(h: H) {
    let shop = Shop::open(&h, &[]).await;
    let delivery = adjustment("delivery", "tee", receive(50));
    assert!(shop.adjust(&delivery).await.is_ok());
    let (_h, shop) = again(h, shop).await;
    let repeated = shop.adjust(&delivery).await;
    assert_eq!(
        shop.counts("tee").await,
        (50, 0),
        "50 units, received again after a restart"
    );
    assert!(repeated.is_ok_and(|adjusted| adjusted.effect == Effect::Repeated));
    shop.ledger().await;
}

pub(super) async fn deadlines_survive<H: InventoryHarness + Reopen>(h: H) {
    let shop = Shop::open(&h, &[("tee", 9)]).await;
    shop.hold_shortly("overdue", "tee", 1).await;
    shop.hold_shortly("swept", "tee", 1).await;
    let extended = shop.hold_shortly("extended", "tee", 1).await;
    let until = extended.deadline.plus(Duration::from_secs(3600));
    assert!(shop.extend("extended", until).await.is_ok());
    let (h, shop) = again(h, shop).await;
    h.pass_time(PAST_SHORT).await;
    assert!(matches!(shop.expire("overdue").await, Expiry::Expired(_)));
    let swept = shop.sweep(10).await;
    assert!(
        swept.len() == 1 && swept[0].id.as_str() == "swept",
        "{swept:?}"
    );
    assert_eq!(shop.state("extended").await, ReservationState::Held);
    assert_eq!(shop.counts("tee").await, (9, 1));
    shop.ledger().await;
}

pub(super) async fn writes_under_load_survive<H: InventoryHarness + Reopen>(h: H) {
    let shop = Shop::open(&h, &[("cap", 40), ("tee", 40)]).await;
    let answered = together((0..64).map(|caller| {
        let shop = shop.clone();
        async move {
            let name = format!("r{caller}");
            let request = wants(&name, [line("cap", 1), line("tee", 1)]);
            shop.reserve(&request).await.is_ok().then_some(name)
        }
    }))
    .await;
    let answered: Vec<String> = answered.into_iter().flatten().collect();
    assert_eq!(
        answered.len(),
        40,
        "64 callers asked for one of 40 units each"
    );
    let (_h, shop) = again(h, shop).await;
    for name in &answered {
        assert_eq!(shop.state(name).await, ReservationState::Held);
    }
    assert_eq!(shop.counts("cap").await, (40, 40));
    assert_eq!(shop.counts("tee").await, (40, 40));
    shop.ledger().await;
}
