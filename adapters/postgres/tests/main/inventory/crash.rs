//! Postgres is killed while many reserve.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgPoolOptions;
use stack::Server as _;
use stockade_inventory_core::{Inventory, InventoryError, InventoryStore, ReservationId};
use stockade_postgres::PostgresInventory;
use stockade_testkit::inventory::check_ledger;

use super::shop::{id, line, reserve, set, stock, wants};
use crate::harness::url;

const CALLERS: usize = 200;
const PLENTY: u64 = 1_000_000;

fn rounds() -> usize {
    let long = std::env::var_os("STOCKADE_LONG").is_some_and(|value| !value.is_empty());
    if long { 20 } else { 2 }
}

async fn blocking<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(call).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_kill_9() {
    // A server of its own, to be killed; where none is asked for at all, none is started.
    if url().is_err() {
        return;
    }
    let mut server = blocking(stack::Postgres::start).await.unwrap();
    let pool = PgPoolOptions::new().max_connections(32);
    let pool = pool.connect(&server.url()).await.unwrap();
    let store = PostgresInventory::new(pool);
    store.migrate().await.unwrap();
    let inventory = Inventory::new(Arc::new(store.clone())).with_timeout(Duration::from_secs(20));
    set(&store, "tee", PLENTY).await;
    set(&store, "cap", PLENTY).await;

    for round in 0..rounds() {
        let last = format!("last-{round}");
        set(&store, &last, 1).await;
        let callers: Vec<_> = (0..CALLERS)
            .map(|caller| {
                let (inventory, last) = (inventory.clone(), last.clone());
                tokio::spawn(async move {
                    let mut acknowledged = Vec::new();
                    for n in 0..5 {
                        let name = format!("r{round}-{caller}-{n}");
                        // One line, two lines, and the one unit that everybody wants.
                        let lines = match (caller + n) % 3 {
                            0 => vec![line("tee", 1)],
                            1 => vec![line("cap", 1), line("tee", 1)],
                            _ => vec![line(&last, 1)],
                        };
                        match inventory.reserve(wants(&name, lines)).await {
                            Ok(done) => acknowledged.push(done.reservation.id),
                            Err(InventoryError::Insufficient { .. }) => {}
                            // Its outcome is unknown, so nothing is promised.
                            Err(_) => {}
                        }
                    }
                    acknowledged
                })
            })
            .collect();
        tokio::time::sleep(Duration::from_millis(150 + 100 * (round as u64 % 5))).await;
        server = blocking(move || {
            server.kill();
            server.restart().unwrap();
            server
        })
        .await;
        let mut acknowledged: Vec<ReservationId> = Vec::new();
        for caller in callers {
            acknowledged.extend(caller.await.unwrap());
        }

        let distinct: BTreeSet<_> = acknowledged.iter().collect();
        assert_eq!(distinct.len(), acknowledged.len());
        for id in &acknowledged {
            let found = store.reservation(id).await;
            assert!(
                found.is_ok(),
                "{id} was acknowledged, and is lost: {found:?}"
            );
        }
        let reserved = stock(&store, &last).await.reserved();
        assert!(reserved <= 1, "the last unit was sold {reserved} times");
        let again = reserve(&store, &wants(&format!("late-{round}"), [line(&last, 1)])).await;
        assert_eq!(again.is_ok(), reserved == 0, "{again:?}");
        check_ledger(&store).await;
    }
    assert!(store.reservation(&id("nobody")).await.is_err());
    blocking(move || drop(server)).await;
}
