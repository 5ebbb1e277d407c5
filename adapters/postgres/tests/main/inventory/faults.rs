//! When connections, servers and callers go away.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sqlx::postgres::PgPoolOptions;
use stack::Proxy;
use stockade_change_feed::Retry;
use stockade_inventory_core::{Effect, Inventory, InventoryError, InventoryStore, StockSource};
use stockade_postgres::{PostgresInventory, Timeouts};

use super::conformance::PostgresHarness;
use super::shop::{adjustment, line, open, reserve, set, stock, wants};

#[tokio::test]
async fn calls_that_are_given_up_leave_the_pool_as_it_was() {
    let Some(h) = open().await else { return };
    // One connection only, which the next call gets.
    let pool = PgPoolOptions::new().max_connections(1);
    let pool = pool.connect(&h.schema.url).await.unwrap();
    let store = PostgresInventory::new(pool).with_schema(h.schema.name.clone());
    for of in ["cap", "tee"] {
        set(&store, of, 1_000).await;
    }
    let two = |n| wants(&format!("two-{n}"), [line("cap", 1), line("tee", 1)]);
    for n in 0..60 {
        let patience = Duration::from_micros(150 * n);
        let _ = tokio::time::timeout(patience, reserve(&store, &two(n))).await;
        let one = wants(&format!("one-{n}"), [line("cap", 1)]);
        reserve(&store, &one).await.unwrap();
        // What was answered is there for others: no open transaction was lent.
        h.store.reservation(&one.id).await.unwrap();
    }
    for n in 0..60 {
        reserve(&store, &two(n)).await.unwrap();
    }
    assert_eq!(stock(&h.store, "cap").await.reserved(), 120, "each once");
    assert_eq!(stock(&h.store, "tee").await.reserved(), 60, "each once");
    stockade_testkit::inventory::check_ledger(&store).await;
}

#[tokio::test]
async fn a_lock_that_is_not_given_is_not_waited_for_for_ever() {
    let Some(h) = open().await else { return };
    set(&h.store, "tee", 5).await;
    let mut host = h.pool.begin().await.unwrap();
    let within = h.store.within(&mut host);
    reserve(&within, &wants("host", [line("tee", 1)]))
        .await
        .unwrap();
    drop(within);
    let timeouts = Timeouts::default().with_lock(Duration::from_millis(100));
    let store = h.store.clone().with_timeouts(timeouts);
    for request in [
        wants("one", [line("tee", 1)]),
        wants("two", [line("tee", 1), line("cap", 1)]),
    ] {
        let refused = reserve(&store, &request).await.unwrap_err();
        assert_eq!(refused.retry(), Retry::RestartTransaction, "{refused}");
    }
    host.rollback().await.unwrap();
    reserve(&store, &wants("one", [line("tee", 1)]))
        .await
        .unwrap();
    assert_eq!(stock(&h.store, "tee").await.reserved(), 1);
}

#[tokio::test]
async fn waiting_for_a_lock_does_not_count_towards_the_deadline() {
    let Some(h) = open().await else { return };
    set(&h.store, "tee", 5).await;
    for changes in [false, true] {
        let mut host = h.pool.begin().await.unwrap();
        let within = h.store.within(&mut host);
        // A refusal locks the level and changes nothing.
        let units = if changes { 1 } else { 9 };
        let name = format!("host-{changes}");
        let _ = reserve(&within, &wants(&name, [line("tee", units)])).await;
        drop(within);
        let started = std::time::Instant::now();
        let request = wants(&format!("waits-{changes}"), [line("tee", 1)]);
        let waiting = reserve(&h.store, &request);
        let ending = async {
            tokio::time::sleep(Duration::from_millis(900)).await;
            host.commit().await.unwrap();
        };
        let (reserved, ()) = futures::join!(waiting, ending);
        assert!(started.elapsed() >= Duration::from_millis(800), "it waited");
        let id = reserved.unwrap().reservation.id;
        let sql = format!(
            "SELECT deadline > clock_timestamp() + interval '15 minutes' - interval '400 milliseconds'
             FROM {}.reservations WHERE id = $1",
            h.schema.name
        );
        let whole: bool = sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .bind(id.as_str())
            .fetch_one(&h.pool)
            .await
            .unwrap();
        assert!(whole, "a wait for a row that was changed: {changes}");
    }
}

#[tokio::test]
async fn a_server_that_takes_no_writes_may_be_asked_again() {
    let Some(h) = open().await else { return };
    set(&h.store, "tee", 5).await;
    let connected = Arc::new(AtomicUsize::new(0));
    let counted = connected.clone();
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .after_connect(move |connection, _| {
            counted.fetch_add(1, Ordering::Relaxed);
            Box::pin(async move {
                let read_only = "SET default_transaction_read_only TO on";
                sqlx::raw_sql(read_only).execute(connection).await.map(drop)
            })
        });
    let pool = pool.connect(&h.schema.url).await.unwrap();
    let demoted = PostgresInventory::new(pool).with_schema(h.schema.name.clone());
    let one = reserve(&demoted, &wants("one", [line("tee", 1)])).await;
    let many = demoted
        .adjust(&[adjustment(
            "op",
            "tee",
            stockade_inventory_core::StockChange::Set(9),
        )])
        .await
        .remove(0);
    for error in [one.unwrap_err(), many.unwrap_err()] {
        assert!(matches!(error.retry(), Retry::After(_)), "{error}");
    }
    assert_eq!(stock(&demoted, "tee").await.physical(), 5, "reads go on");
    let connected = connected.load(Ordering::Relaxed);
    assert_eq!(
        connected, 3,
        "a new connection after each, perhaps to the new primary"
    );
}

/// A store that reaches the server through a proxy.
async fn proxied(h: &PostgresHarness) -> (Proxy, PostgresInventory) {
    let url = h.schema.url.clone();
    let (scheme, rest) = url.split_once("://").unwrap();
    let (user, rest) = rest.split_once('@').unwrap_or(("postgres", rest));
    let (server, database) = rest.split_once('/').unwrap_or((rest, "postgres"));
    let server = tokio::net::lookup_host(server)
        .await
        .unwrap()
        .next()
        .unwrap();
    let proxy = Proxy::start(server).await.unwrap();
    let url = format!("{scheme}://{user}@{}/{database}", proxy.address());
    let pool = PgPoolOptions::new().max_connections(4);
    let pool = pool.connect(&url).await.unwrap();
    let store = PostgresInventory::new(pool).with_schema(h.schema.name.clone());
    (proxy, store)
}

#[tokio::test]
async fn a_lost_reply_is_resolved_by_the_same_id() {
    let Some(h) = open().await else { return };
    let (proxy, store) = proxied(&h).await;
    for of in ["cap", "tee"] {
        set(&store, of, 1).await;
    }
    let one = wants("the-one-line", [line("tee", 1)]);
    // Once before, so that all statements are prepared, and what is lost is the statement itself.
    reserve(&store, &wants("warm", [line("cap", 1)]))
        .await
        .unwrap();
    proxy.lose_reply_to("the-one-line");
    let error = reserve(&store, &one).await.unwrap_err();
    assert_eq!(error.retry(), Retry::OutcomeUnknown, "{error}");
    let again = reserve(&store, &one).await.unwrap();
    assert_eq!(again.effect, Effect::Repeated, "the last unit was taken");

    let received = adjustment(
        "op",
        "cap",
        stockade_inventory_core::StockChange::Correct(5),
    );
    // A query ends with a zero; READ COMMITTED does not.
    proxy.lose_reply_to("COMMIT\0");
    let error = store
        .adjust(std::slice::from_ref(&received))
        .await
        .remove(0);
    let error = error.unwrap_err();
    assert_eq!(error.retry(), Retry::OutcomeUnknown, "{error}");
    let again = store.adjust(&[received]).await.remove(0).unwrap();
    assert_eq!(again.effect, Effect::Repeated);
    assert_eq!(stock(&h.store, "cap").await.physical(), 6);
}

#[tokio::test]
async fn inventory_repeats_what_was_lost_and_counts_it_once() {
    let Some(h) = open().await else { return };
    let (proxy, store) = proxied(&h).await;
    set(&store, "tee", 100).await;
    let inventory = Inventory::new(Arc::new(store));
    for n in 0..10 {
        let name = format!("order-{n}");
        match n % 3 {
            0 => proxy.lose_reply_to(name.as_str()),
            1 => proxy.cut(),
            _ => {}
        }
        let request = wants(&name, [line("tee", 1)]);
        inventory.reserve(request).await.unwrap();
    }
    assert_eq!(stock(&h.store, "tee").await.reserved(), 10);
    stockade_testkit::inventory::check_ledger(&h.store).await;
}

#[tokio::test]
async fn a_silent_server_is_not_waited_for_for_ever() {
    let Some(h) = open().await else { return };
    let (proxy, store) = proxied(&h).await;
    set(&store, "tee", 5).await;
    let timeouts = Timeouts::default()
        .with_acquire(Duration::from_millis(300))
        .with_transaction(Duration::from_millis(600));
    let store = store.with_timeouts(timeouts);
    proxy.delay(Duration::from_secs(3600));
    let error = reserve(&store, &wants("r", [line("tee", 1)])).await;
    assert!(error.unwrap_err().retry() != Retry::Never);
    let error = store.stock(&[super::shop::sku("tee")]).await.unwrap_err();
    assert!(
        matches!(
            error,
            InventoryError::Timeout { .. } | InventoryError::Unavailable { .. }
        ),
        "{error}"
    );
}
