//! Two processes have the same data open.

use std::sync::Arc;

use stockade_inventory_core::{Effect, InventoryError, InventoryStore, StockChange, Transition};

use super::SharedHarness;
use super::shop::{Shop, adjustment, want};
use crate::together;

/// A shop in each of two processes.
async fn open<H: SharedHarness>(h: &H, stock: &[(&str, u64)]) -> [Shop; 2] {
    let first = Shop::open(h, stock).await;
    let second: Arc<dyn InventoryStore> = h.second_store().await;
    [first, Shop::new(second)]
}

pub(super) async fn each_process_sees_what_the_other_changed<H: SharedHarness>(h: H) {
    let [first, second] = open(&h, &[("tee", 5)]).await;
    assert_eq!(second.counts("tee").await, (5, 0));
    for (n, [writer, reader]) in [[&first, &second], [&second, &first]]
        .into_iter()
        .enumerate()
    {
        let name = format!("r{n}");
        let held = writer.hold(&name, "tee", 1).await;
        assert_eq!(
            reader.reservation(&name).await,
            held,
            "a reservation that the other process has granted"
        );
        assert_eq!(
            reader.stock("tee").await,
            writer.stock("tee").await,
            "the stock, which the other process has changed"
        );
        reader.must(&name, Transition::Confirm).await;
        writer.must(&name, Transition::Cancel).await;
        assert_eq!(reader.counts("tee").await, (5, 0));
    }
    first.ledger().await;
}

pub(super) async fn two_processes_never_oversell<H: SharedHarness>(h: H) {
    const CALLERS: usize = 24;
    let shops = open(&h, &[("tee", 10)]).await;
    // Both have read the stock before they sell it.
    for shop in &shops {
        assert_eq!(shop.counts("tee").await, (10, 0));
    }
    let outcomes = together((0..CALLERS).map(|n| {
        let shop = shops[n % 2].clone();
        async move { shop.reserve(&want(&format!("r{n}"), "tee", 1)).await }
    }))
    .await;
    for outcome in &outcomes {
        assert!(
            matches!(outcome, Ok(_) | Err(InventoryError::Insufficient { .. })),
            "two processes reserved at once: {outcome:?}"
        );
    }
    let granted = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(granted, 10, "grants of 10 units by two processes");
    for shop in &shops {
        assert_eq!(shop.counts("tee").await, (10, 10));
        shop.ledger().await;
    }
}

pub(super) async fn ids_are_known_to_both_processes<H: SharedHarness>(h: H) {
    let [first, second] = open(&h, &[("tee", 1)]).await;
    let request = want("winner", "tee", 1);
    first.grant(&request).await;
    let again = second.reserve(&request).await;
    let again = again.unwrap_or_else(|error| {
        panic!("the owner of the last unit repeated its request at another process: {error}")
    });
    assert_eq!(again.effect, Effect::Repeated);
    let set = adjustment("count", "tee", StockChange::Set(9));
    for (shop, effect) in [(&second, Effect::Applied), (&first, Effect::Repeated)] {
        let adjusted = shop.adjust(&set).await;
        let adjusted = adjusted.unwrap_or_else(|error| panic!("adjusting failed: {error}"));
        assert_eq!(adjusted.effect, effect);
    }
    second.ledger().await;
}
