//! Stock in memory.

use std::sync::Arc;

use embedding::{inventory, serve_from_memory};
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
    let (listener, at) = listen().await;
    let (stop, stopped) = watch::channel(false);
    let serving = tokio::spawn(serve_from_memory(listener, store, stopped));

    let [ada, ben, nobody] = ["ada", "ben", ""].map(|name| Customer { at, name });
    assert_eq!(nobody.ask("GET /", "", "").await, (200, "lamps".to_owned()));
    let cup = A_LAMP.replace("lamp", "cup");
    assert_eq!(nobody.status(RESERVE, "cart-1", &cup).await, 401);
    assert_eq!(ada.status(RESERVE, "cart-0", &cup).await, 404);
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
    let confirm = format!("{RESERVE}/{id}/confirm");
    assert_eq!(
        ben.status(&confirm, "", "").await,
        404,
        "who knows the id may not"
    );
    assert_eq!(ada.status(&confirm, "", "").await, 200);
    assert_eq!(ada.status(&confirm, "", "").await, 200, "again is harmless");
    assert_eq!(
        ada.status(RESERVE, "cart-1", A_LAMP).await,
        200,
        "it is hers"
    );
    let unknown = "POST /shop/reservations/none/confirm";
    assert_eq!(ada.status(unknown, "", "").await, 404);

    stop.send(true).unwrap();
    serving.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_repeated_request_whose_grant_is_over_is_told_so() {
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_700_000_000_000)));
    let store = Arc::new(MemoryInventory::new(clock.clone()));
    receive_a_lamp(store.as_ref()).await;
    let inventory = Inventory::new(store);
    let at = serve(inventory::routes(inventory.clone()).with_state(())).await;
    let [ada, ben] = ["ada", "ben"].map(|name| Customer { at, name });
    let reserve = "POST /reservations";

    assert_eq!(ada.status(reserve, "cart-1", A_LAMP).await, 200);
    let id = ada.id("cart-1");
    inventory.release(&id, ActingFor::Anyone).await.unwrap();
    assert_eq!(ada.status(reserve, "cart-1", A_LAMP).await, 409, "released");

    assert_eq!(ada.status(reserve, "cart-2", A_LAMP).await, 200);
    clock.advance(Ttl::default().get());
    let late = ada.ask(reserve, "cart-2", A_LAMP).await;
    assert_eq!(
        late.0, 409,
        "its time is up, though no worker has seen it yet: {late:?}"
    );
    assert!(late.1.contains("another key"), "{late:?}");
    let confirm = format!("POST /reservations/{}/confirm", ada.id("cart-2"));
    assert_eq!(ada.status(&confirm, "", "").await, 409);
    assert_eq!(ada.status(reserve, "cart-2", A_LAMP).await, 409, "expired");
    assert_eq!(
        ben.status(reserve, "cart-1", A_LAMP).await,
        200,
        "the lamp is free again"
    );
}
