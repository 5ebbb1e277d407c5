//! What a host sees when a store or the timers fail.

use std::sync::Arc;

use stockade_change_feed::{Clock, Retry};
use stockade_inventory_core::*;

use crate::faults::{Fault, Faulty};
use crate::shop::*;

const ANYONE: ActingFor = ActingFor::Anyone;

async fn timers(shop: &Shop) -> Vec<ReservationId> {
    shop.clock.advance(seconds(3600));
    shop.timer.due(at_most(99), seconds(0)).await.unwrap()
}

/// The outcome of a call, while time passes.
async fn while_time_passes<T>(shop: &Shop, call: impl Future<Output = T>) -> T {
    let time = shop.pass_time(seconds(600));
    tokio::select! {
        outcome = call => outcome,
        () = time => panic!("no outcome within ten minutes"),
    }
}

#[tokio::test]
async fn a_lost_answer_reserves_once() {
    let shop = Shop::with(&[("tee", 1)]).await;
    let store = Faulty::new(shop.store.clone());
    store.script.add(&[Fault::AnswerLost, Fault::Refused]);
    let inventory = shop.inventory(Arc::new(store));
    let reserved = inventory.reserve(request("r", "tee", 1));
    let reserved = while_time_passes(&shop, reserved).await.unwrap();
    assert_eq!(reserved.effect, Effect::Repeated);
    assert_eq!(shop.counts("tee").await, (1, 1));
    assert_eq!(timers(&shop).await, [id("r")]);
}

#[tokio::test]
async fn a_repeated_request_finds_a_grant_that_stands_or_has_ended() {
    let shop = Shop::with(&[("tee", 3)]).await;
    let inventory = shop.inventory(Arc::new(shop.store.clone()));
    let again = async |reservation| {
        let repeated = inventory.reserve(request(reservation, "tee", 1)).await;
        let repeated = repeated.unwrap();
        assert_eq!(repeated.effect, Effect::Repeated);
        repeated.stands()
    };
    for reservation in ["held", "kept", "given back"] {
        assert!(shop.reserve(reservation, "tee", 1).await.stands());
    }
    inventory.confirm(&id("kept"), ANYONE).await.unwrap();
    inventory.release(&id("given back"), ANYONE).await.unwrap();
    assert!(again("held").await && again("kept").await);
    assert!(!again("given back").await);

    // Whether a worker has been by or not.
    shop.clock.advance(seconds(3600));
    assert!(!again("held").await);
    shop.store
        .expire(&[id("held")])
        .await
        .unwrap()
        .remove(0)
        .unwrap();
    assert!(!again("held").await);

    inventory.fulfil(&id("kept"), ANYONE).await.unwrap();
    assert!(again("kept").await);
}

#[test]
fn a_repeatable_request_has_the_id_of_its_key() {
    let line = || Line::new(sku("tee"), Quantity::ONE);
    let of = |key| ReserveRequest::repeatable(OwnerId::new("ada").unwrap(), key, [line()]);
    let derived = ReservationId::derived(&OwnerId::new("ada").unwrap(), "cart-1");
    assert_eq!(of("cart-1").unwrap().id, derived);
    for no_key in ["", " "] {
        assert!(matches!(of(no_key), Err(InventoryError::Invalid { .. })));
    }
}

#[tokio::test]
async fn a_lost_answer_receives_once() {
    let shop = Shop::with(&[("tee", 1)]).await;
    let store = Faulty::new(shop.store.clone());
    store.script.add(&[Fault::AnswerLost]);
    let inventory = shop.inventory(Arc::new(store));
    let reason = Reason::new("delivery").unwrap();
    let fifty = StockChange::Receive(Quantity::new(50).unwrap());
    let receive = Adjustment::new(OperationId::new("o").unwrap(), sku("tee"), fifty, reason);
    let received = [receive];
    let received = while_time_passes(&shop, inventory.adjust(&received)).await;
    let received = received.unwrap();
    assert_eq!(received[0].as_ref().unwrap().level.counts.physical(), 51);
}

#[tokio::test]
async fn no_answer_is_an_unknown_outcome() {
    let shop = Shop::with(&[("tee", 1)]).await;
    let store = Faulty::new(shop.store.clone());
    store.script.add(&[Fault::Silence]);
    let inventory = shop.inventory(Arc::new(store)).with_timeout(seconds(3));
    let reserved = inventory.reserve(request("r", "tee", 1));
    let error = while_time_passes(&shop, reserved).await.unwrap_err();
    assert_eq!(error.retry(), Retry::OutcomeUnknown);
    assert!(error.to_string().starts_with("reserve may have"), "{error}");
    assert!(shop.clock.monotonic() < seconds(10));
}

#[tokio::test]
async fn failing_timers_fail_no_call() {
    for fault in [Fault::Refused, Fault::Silence] {
        let shop = Shop::with(&[("tee", 1)]).await;
        let timer = Faulty::new(shop.timer.clone());
        timer.script.add(&[fault; 3]);
        let store = Arc::new(shop.store.clone());
        let inventory = shop.inventory(store).with_timer(Arc::new(timer.clone()));
        let reserved = inventory.reserve(request("r", "tee", 1));
        while_time_passes(&shop, reserved).await.unwrap();
        let until = shop.clock.now().plus(seconds(60));
        let r = id("r");
        let extended = inventory.extend(&r, until, ANYONE);
        while_time_passes(&shop, extended).await.unwrap();
        while_time_passes(&shop, inventory.confirm(&r, ANYONE))
            .await
            .unwrap();
        assert!(timer.script.is_over(), "each of the three told the timer");
    }
}

#[tokio::test]
async fn a_timer_lasts_as_long_as_the_hold() {
    let shop = Shop::with(&[("tee", 9)]).await;
    let inventory = shop.inventory(Arc::new(shop.store.clone()));
    for reservation in ["held", "released", "confirmed"] {
        inventory
            .reserve(request(reservation, "tee", 1))
            .await
            .unwrap();
    }
    inventory.release(&id("released"), ANYONE).await.unwrap();
    inventory.confirm(&id("confirmed"), ANYONE).await.unwrap();
    let again = inventory
        .reserve(request("confirmed", "tee", 1))
        .await
        .unwrap();
    assert_eq!(again.reservation.state, ReservationState::Confirmed);
    assert_eq!(timers(&shop).await, [id("held")]);
}

#[tokio::test]
async fn an_extension_sets_the_timer_again() {
    let shop = Shop::with(&[("tee", 9)]).await;
    let inventory = shop.inventory(Arc::new(shop.store.clone()));
    inventory.reserve(request("r", "tee", 1)).await.unwrap();
    let until = shop.clock.now().plus(seconds(60));
    inventory.extend(&id("r"), until, ANYONE).await.unwrap();
    shop.clock.advance(seconds(59));
    assert!(
        shop.timer
            .due(at_most(9), seconds(0))
            .await
            .unwrap()
            .is_empty()
    );
    shop.clock.advance(seconds(1));
    assert_eq!(
        shop.timer.due(at_most(9), seconds(0)).await.unwrap(),
        [id("r")]
    );
}

#[tokio::test]
async fn a_host_may_reserve_in_its_own_transaction() {
    let shop = Shop::with(&[("tee", 9)]).await;
    let inventory = shop.inventory(Arc::new(shop.store.clone()));
    let reserved = shop.reserve("r", "tee", 1).await;
    inventory.committed(&reserved).await;
    assert_eq!(timers(&shop).await, [id("r")]);
}

#[tokio::test]
async fn its_futures_can_be_spawned() {
    let shop = Shop::with(&[("tee", 9)]).await;
    let inventory = shop.inventory(Arc::new(shop.store.clone()));
    let life = tokio::spawn(async move {
        let (r, owner) = (id("r"), ActingFor::Owner(OwnerId::new("ann").unwrap()));
        inventory.reserve(request("r", "tee", 2)).await?;
        inventory.confirm(&r, owner.clone()).await?;
        inventory.fulfil(&r, owner).await?;
        assert!(inventory.adjust(&[set("o", "tee", 8)]).await.unwrap()[0].is_ok());
        let page = inventory.movements(&sku("tee"), None, at_most(9)).await?;
        assert_eq!(page.movements.len(), 4);
        let source: &dyn StockSource = &inventory;
        assert_eq!(
            source.scan(None, at_most(9)).await?.stock,
            [inventory.stock(&[sku("tee")]).await?.remove(0).unwrap()]
        );
        inventory.reservation(&r).await
    });
    assert_eq!(
        life.await.unwrap().unwrap().state,
        ReservationState::Fulfilled
    );
}
