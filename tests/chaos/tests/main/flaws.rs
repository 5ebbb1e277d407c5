//! The checker, on stores that break one promise each.

use std::sync::Arc;
use std::time::Duration;

use chaos::{Client, Customers, FileLog, Findings, History, check};
use stockade_change_feed::SystemClock;
use stockade_inventory_core::Inventory;
use stockade_inventory_core::memory::MemoryInventory;
use stockade_inventory_core::workers::OutboxRelay;

use crate::flawed::{Flaw, Flawed};

/// What is found of some shopping on a store with a flaw.
async fn shop(flaw: Flaw) -> Findings {
    let folder = tempfile::tempdir().unwrap();
    let (path, log) = (folder.path().join("history"), folder.path().join("log"));
    let inner = MemoryInventory::new(Arc::new(SystemClock::new()));
    let store = Arc::new(Flawed { inner, flaw });

    let inventory = Inventory::new(store.clone());
    let client = Client::new(inventory, History::append(&path).unwrap());
    client.stock_up().await.unwrap();
    let customers = Customers::start(&client, 7, 3);
    while History::read(&path).map_or(0, |history| history.len()) < 300 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    customers.stop().await.unwrap();

    let publisher = Arc::new(FileLog::append(&log).unwrap());
    let relay = OutboxRelay::new(store.clone(), store.clone(), publisher);
    relay.pass().await.unwrap();
    let history = History::read(&path).unwrap();
    let published = FileLog::read(&log).unwrap();
    check(&history, &published, &*store).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_found_where_nothing_is_wrong() {
    assert_eq!(shop(Flaw::None).await, Findings::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_broken_promise_is_found() {
    let flaws = [
        (Flaw::ForgetsReservations, "was acknowledged, and is gone"),
        (Flaw::RefusesWhatItGrants, "was refused, and is held"),
        (Flaw::GrantsAPart, "and is for"),
        (Flaw::ReservesTwice, "nobody asked for reservation"),
        (Flaw::ReceivesTwice, "nobody asked for"),
        (
            Flaw::ForgetsToConfirm,
            "was acknowledged to Confirm, and is held",
        ),
        (Flaw::LosesMovements, "half done"),
        (Flaw::LosesMovements, "and the movements make"),
        (Flaw::MiscountsStock, "and the movements make"),
        (Flaw::SkipsTheOutbox, "mug: an event is lost"),
        (
            Flaw::PublishesLies,
            "was published, and at that version it was",
        ),
    ];
    for (flaw, finding) in flaws {
        let findings = shop(flaw).await.0;
        let found = findings.iter().any(|it| it.contains(finding));
        assert!(
            found,
            "{flaw:?} is not found among {} findings",
            findings.len()
        );
    }
}
