//! Returned effects survive a kill during calls.

/// For reservations, their states, adjustments and movements.
pub(super) mod returned_effects_survive_a_kill {
    use stockade_inventory_core::{Effect, InventoryError, ReservationState, Transition};

    use super::super::InventoryHarness;
    use super::super::shop::{Shop, adjustment, line, receive, wants};
    use crate::{Answers, Crash, together};

    const CALLERS: usize = 6;

    pub(in super::super) async fn calls<H: InventoryHarness + Crash>(h: H, answers: Answers) {
        let shop = Shop::new(h.store());
        // Names of this process, because earlier ones have used theirs.
        let process = std::process::id();
        for of in ["cap", "tee"] {
            let stock = adjustment(&format!("{process}-{of}"), of, receive(1_000_000));
            // It may fail where the server has been killed already.
            let _ = shop.adjust(&stock).await;
        }
        together((0..CALLERS).map(|caller| {
            let shop = shop.clone();
            async move {
                for n in 0.. {
                    buy(&shop, answers, &format!("{process}-{caller}-{n}")).await;
                }
            }
        }))
        .await;
    }

    async fn buy(shop: &Shop, answers: Answers, name: &str) {
        let received = shop.adjust(&adjustment(name, "tee", receive(1))).await;
        if received.is_ok() {
            answers.write(&format!("received {name}"));
        }
        let request = wants(name, [line("cap", 1), line("tee", 1)]);
        if shop.reserve(&request).await.is_err() {
            return;
        }
        answers.write(&format!("reserved {name}"));
        if shop.step(name, Transition::Confirm).await.is_ok() {
            answers.write(&format!("confirmed {name}"));
        }
    }

    pub(in super::super) async fn check<H: InventoryHarness + Crash>(h: H, answers: Vec<String>) {
        let shop = Shop::new(h.store());
        for answer in answers {
            let (what, name) = answer.split_once(' ').expect("an answer is of two words");
            match what {
                "received" => {
                    let again = shop.adjust(&adjustment(name, "tee", receive(1))).await;
                    assert!(
                        again.as_ref().is_ok_and(|it| it.effect == Effect::Repeated),
                        "adjustment {name} returned before the kill, and is lost: {again:?}"
                    );
                }
                "reserved" => {
                    let found = shop.store.reservation(&super::super::shop::id(name)).await;
                    assert!(
                        !matches!(found, Err(InventoryError::UnknownReservation { .. })),
                        "reservation {name} was returned before the kill, and is lost"
                    );
                }
                _ => assert_eq!(
                    shop.state(name).await,
                    ReservationState::Confirmed,
                    "the confirmation of {name} returned before the kill, and is lost"
                ),
            }
        }
        shop.ledger().await;
    }
}

/// For the outbox.
pub(super) mod changes_before_a_kill_are_unpublished {
    use std::collections::BTreeMap;

    use super::super::OutboxHarness;
    use super::super::ledger::all_stock;
    use super::super::outbox::unpublished;
    use super::super::shop::{Shop, adjustment, receive, sku};
    use crate::{Answers, Crash, together};

    const CALLERS: usize = 6;

    pub(in super::super) async fn calls<H: OutboxHarness + Crash>(h: H, answers: Answers) {
        let (shop, outbox) = (Shop::new(h.store()), h.outbox());
        let process = std::process::id();
        together((0..CALLERS).map(|caller| {
            let (shop, outbox) = (shop.clone(), outbox.clone());
            async move {
                let of = format!("sku-{caller}");
                for n in 0.. {
                    let name = format!("{process}-{caller}-{n}");
                    let Ok(adjusted) = shop.adjust(&adjustment(&name, &of, receive(1))).await
                    else {
                        continue;
                    };
                    // Before the call, because it may take effect without returning.
                    let version = adjusted.level.version;
                    answers.write(&format!("{of} {}", version.number));
                    let _ = outbox.mark_published(&[(sku(&of), version)]).await;
                }
            }
        }))
        .await;
    }

    pub(in super::super) async fn check<H: OutboxHarness + Crash>(h: H, answers: Vec<String>) {
        let mut marked: BTreeMap<&str, u64> = BTreeMap::new();
        for answer in &answers {
            let (of, number) = answer.split_once(' ').expect("an answer is of two words");
            let number: u64 = number.parse().expect("the number of a version");
            let newest = marked.entry(of).or_default();
            *newest = number.max(*newest);
        }
        let changes = unpublished(h.outbox().as_ref()).await;
        for stock in all_stock(h.store().as_ref()).await {
            let marked = marked
                .get(stock.sku().as_str())
                .copied()
                .unwrap_or_default();
            let is_unpublished = changes.iter().any(|change| change.sku == *stock.sku());
            assert!(
                is_unpublished || stock.version().number <= marked,
                "{} has version {} after the kill, was marked as published up to number {marked}, \
                 and is not in the outbox",
                stock.sku(),
                stock.version()
            );
        }
        Shop::new(h.store()).ledger().await;
    }
}
