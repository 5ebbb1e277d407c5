//! Inside the host's own transaction.

use sqlx::{Connection, PgConnection};
use stockade_change_feed::Retry;
use stockade_inventory_core::{
    Effect, InventoryError, InventoryStore, Transition, TransitionRequest,
};

use super::conformance::PostgresHarness;
use super::shop::{id, line, open, reserve, run, set, stock, wants};

/// A table of the host's, in our schema so that it goes with it.
async fn with_orders(harness: &PostgresHarness) {
    run(
        harness,
        "CREATE TABLE {schema}.orders (id TEXT PRIMARY KEY)",
    )
    .await;
}

async fn order(harness: &PostgresHarness, connection: &mut PgConnection) -> sqlx::Result<()> {
    let schema = &harness.schema.name;
    let insert = format!("INSERT INTO {schema}.orders VALUES ('o')");
    let insert = sqlx::raw_sql(sqlx::AssertSqlSafe(insert));
    insert.execute(connection).await.map(drop)
}

async fn orders(harness: &PostgresHarness) -> i64 {
    let count = format!("SELECT count(*) FROM {}.orders", harness.schema.name);
    let count = sqlx::query_scalar(sqlx::AssertSqlSafe(count));
    count.fetch_one(&harness.pool).await.unwrap()
}

#[tokio::test]
async fn an_order_and_its_reservation_commit_together() {
    let Some(h) = open().await else { return };
    with_orders(&h).await;
    set(&h.store, "tee", 5).await;
    for (name, commits) in [("undone", false), ("kept", true)] {
        let mut connection = h.pool.acquire().await.unwrap();
        let mut transaction = connection.begin().await.unwrap();
        order(&h, &mut transaction).await.unwrap();
        let store = h.store.within(&mut transaction);
        reserve(&store, &wants(name, [line("tee", 2)]))
            .await
            .unwrap();
        assert_eq!(stock(&store, "tee").await.reserved(), 2, "seen inside");
        assert_eq!(stock(&h.store, "tee").await.reserved(), 0, "seen outside");
        if commits {
            transaction.commit().await.unwrap();
        } else {
            transaction.rollback().await.unwrap();
            assert_eq!(orders(&h).await, 0);
            let unknown = h.store.reservation(&id(name)).await;
            assert!(matches!(
                unknown,
                Err(InventoryError::UnknownReservation { .. })
            ));
        }
    }
    assert_eq!(orders(&h).await, 1);
    assert_eq!(stock(&h.store, "tee").await.reserved(), 2);
    stockade_testkit::inventory::check_ledger(&h.store).await;
}

#[tokio::test]
async fn a_refusal_leaves_the_hosts_transaction_usable() {
    let Some(h) = open().await else { return };
    with_orders(&h).await;
    set(&h.store, "tee", 1).await;
    // Damage: releasing it would take more back than is reserved.
    reserve(&h.store, &wants("damaged", [line("tee", 1)]))
        .await
        .unwrap();
    run(&h, "UPDATE {schema}.levels SET reserved = 0").await;
    let mut connection = h.pool.acquire().await.unwrap();
    let mut transaction = connection.begin().await.unwrap();
    order(&h, &mut transaction).await.unwrap();
    {
        let store = h.store.within(&mut transaction);
        let refused = reserve(&store, &wants("r", [line("tee", 9)])).await;
        assert!(matches!(refused, Err(InventoryError::Insufficient { .. })));
        let release = TransitionRequest {
            id: id("damaged"),
            transition: Transition::Release,
            acting_for: stockade_inventory_core::ActingFor::Anyone,
        };
        let refused = store.transition(&release).await;
        assert!(matches!(refused, Err(InventoryError::Damaged { .. })));
    }
    transaction.commit().await.unwrap();
    assert_eq!(orders(&h).await, 1);
}

#[tokio::test]
async fn a_lost_race_leaves_the_hosts_transaction_usable() {
    let Some(h) = open().await else { return };
    with_orders(&h).await;
    for of in ["cap", "tee"] {
        set(&h.store, of, 5).await;
    }
    // The same id on another SKU, so that no lock on a level keeps the two apart.
    let mut first = h.pool.begin().await.unwrap();
    reserve(&h.store.within(&mut first), &wants("r", [line("cap", 1)]))
        .await
        .unwrap();
    let mut second = h.pool.begin().await.unwrap();
    order(&h, &mut second).await.unwrap();
    let racing = async {
        let store = h.store.within(&mut second);
        reserve(&store, &wants("r", [line("tee", 1)])).await
    };
    let committing = async {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        first.commit().await.unwrap();
    };
    let (raced, ()) = futures::join!(racing, committing);
    assert!(
        matches!(raced, Err(InventoryError::ReservationConflict { .. })),
        "{raced:?}"
    );
    second.commit().await.unwrap();
    assert_eq!(orders(&h).await, 1);
    assert_eq!(stock(&h.store, "tee").await.reserved(), 0);
}

#[tokio::test]
async fn a_dropped_call_leaves_nothing_half_done() {
    let Some(h) = open().await else { return };
    for of in ["cap", "tee"] {
        set(&h.store, of, 50).await;
    }
    for n in 0..20 {
        let name = format!("r{n}");
        let mut transaction = h.pool.begin().await.unwrap();
        {
            let store = h.store.within(&mut transaction);
            let request = wants(&name, [line("cap", 1), line("tee", 1)]);
            let call = reserve(&store, &request);
            let patience = std::time::Duration::from_micros(150 * n);
            let _ = tokio::time::timeout(patience, call).await;
        }
        // The driver may find the answer of what was dropped here; then the host begins again.
        let _ = transaction.commit().await;
    }
    let (cap, tee) = (stock(&h.store, "cap").await, stock(&h.store, "tee").await);
    assert_eq!(cap.reserved(), tee.reserved(), "one line without the other");
    stockade_testkit::inventory::check_ledger(&h.store).await;
}

#[tokio::test]
async fn it_takes_a_transaction() {
    let Some(h) = open().await else { return };
    set(&h.store, "tee", 5).await;
    let mut connection = h.pool.acquire().await.unwrap();
    let store = h.store.within(&mut connection);
    let refused = reserve(&store, &wants("r", [line("tee", 1)])).await;
    assert!(
        matches!(&refused, Err(InventoryError::Failed(failure)) if failure.retry() == Retry::Never),
        "{refused:?}"
    );
    drop(store);
    assert_eq!(stock(&h.store, "tee").await.reserved(), 0);
}

#[tokio::test]
async fn a_repeat_within_and_without_is_one_reservation() {
    let Some(h) = open().await else { return };
    set(&h.store, "tee", 1).await;
    let request = wants("r", [line("tee", 1)]);
    reserve(&h.store, &request).await.unwrap();
    let mut transaction = h.pool.begin().await.unwrap();
    let again = reserve(&h.store.within(&mut transaction), &request).await;
    transaction.commit().await.unwrap();
    assert_eq!(again.unwrap().effect, Effect::Repeated);
}
