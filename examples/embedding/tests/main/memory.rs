//! Stock in memory.

use std::sync::Arc;
use std::time::Duration;

use embedding::{inventory, serve_from_memory};
use stockade_change_feed::memory::MemoryFeed;
use stockade_change_feed::{ManualClock, SystemClock, Timestamp};
use stockade_inventory_core::memory::MemoryInventory;
use stockade_inventory_core::*;
use tokio::sync::watch;

use crate::{A_LAMP, Customer, listen, receive_a_lamp, serve};

const RESERVE: &str = "POST /shop/reservations";

#[tokio::test(flavor = "multi_thread")]
async fn a_lamp_is_reserved_once_and_paid() {
    let store = Arc::new(MemoryInventory::new(Arc::new(SystemClock::new())));
    receive_a_lamp(store.as_ref()).await;
    let log = Arc::new(MemoryFeed::new(Arc::new(SystemClock::new())));
    let (listener, at) = listen().await;
    let (stop, stopped) = watch::channel(false);
    let serving = tokio::spawn(serve_from_memory(listener, store.clone(), log, stopped));

    let [ada, ben, nobody] = ["ada", "ben", ""].map(|name| Customer { at, name });
    assert_eq!(nobody.ask("GET /", "", "").await, (200, "lamps".to_owned()));
    let stock = nobody.ask("GET /shop/stock/lamp", "", "").await;
    assert_eq!(stock, (200, "1".to_owned()));
    assert_eq!(nobody.status("GET /shop/stock/cup", "", "").await, 404);
    assert_eq!(nobody.status(RESERVE, "cart-1", A_LAMP).await, 401);

    let first = ada.ask(RESERVE, "cart-1", A_LAMP).await;
    assert_eq!(first.0, 200, "{first:?}");
    let again = ada.ask(RESERVE, "cart-1", A_LAMP).await;
    assert_eq!(again, first, "the same key, the same grant");
    let two = A_LAMP.replace(":1}", ":2}");
    assert_eq!(ada.status(RESERVE, "cart-1", &two).await, 422);
    assert_eq!(
        ben.status(RESERVE, "cart-1", A_LAMP).await,
        409,
        "his key is his own"
    );
    assert_eq!(ada.status(RESERVE, "", A_LAMP).await, 400);
    assert_eq!(ada.status(RESERVE, "cart-3", "[]").await, 400);

    let id = ada.id("cart-1");
    let step = |step: &str| format!("{RESERVE}/{id}/{step}");
    for taken in ["confirm", "release"] {
        assert_eq!(
            ben.status(&step(taken), "", "").await,
            403,
            "who knows the id may not"
        );
    }
    assert_eq!(ada.status(&step("confirm"), "", "").await, 200);
    assert_eq!(
        ada.status(&step("confirm"), "", "").await,
        200,
        "again is harmless"
    );
    assert_eq!(
        ada.status(&step("release"), "", "").await,
        409,
        "it is paid"
    );
    assert_eq!(
        ada.status(RESERVE, "cart-1", A_LAMP).await,
        200,
        "it is hers"
    );
    let unknown = "POST /shop/reservations/none/confirm";
    assert_eq!(ada.status(unknown, "", "").await, 404);

    // The relay has told the log, so nothing is left to be published.
    while !store.unpublished(None, 9).await.unwrap().changes.is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stop.send(true).unwrap();
    serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_repeated_request_whose_grant_is_over_is_told_so() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_700_000_000_000)));
    let store = Arc::new(MemoryInventory::new(clock.clone()));
    receive_a_lamp(store.as_ref()).await;
    let at = serve(inventory::routes(Inventory::new(store)).with_state(())).await;
    let [ada, ben] = ["ada", "ben"].map(|name| Customer { at, name });
    let reserve = "POST /reservations";

    let released = format!("POST /reservations/{}/release", ada.id("cart-1"));
    assert_eq!(ada.status(reserve, "cart-1", A_LAMP).await, 200);
    assert_eq!(ada.status(&released, "", "").await, 200);
    assert_eq!(ada.status(reserve, "cart-1", A_LAMP).await, 409, "released");

    assert_eq!(ada.status(reserve, "cart-2", A_LAMP).await, 200);
    clock.advance(Ttl::default().get());
    let late = ada.ask(reserve, "cart-2", A_LAMP).await;
    assert_eq!(
        late.0, 409,
        "its time is up, though no worker has seen it yet: {late:?}"
    );
    assert!(late.1.contains("new Idempotency-Key"), "{late:?}");
    let confirm = format!("POST /reservations/{}/confirm", ada.id("cart-2"));
    assert_eq!(ada.status(&confirm, "", "").await, 409);
    assert_eq!(ada.status(reserve, "cart-2", A_LAMP).await, 409, "expired");
    assert_eq!(
        ben.status(reserve, "cart-1", A_LAMP).await,
        200,
        "the lamp is free again"
    );
}
