//! Tables in a schema of their own, and what an operator does with them.

use std::time::Duration;

use sqlx::AssertSqlSafe;
use stockade_change_feed::Retry;
use stockade_inventory_core::{
    ActingFor, InventoryStore, Purged, Rest, StockOutbox, StockRetention, StockSource, Transition,
    TransitionRequest, Version,
};
use stockade_postgres::{Component, PostgresInventory, ServerSettings, Timeouts, connect};

use super::shop::{at_most, host_with_a_tee, id, line, open, reserve, run, set, sku, stock, wants};
use crate::harness::{OwnSchema, documented_grants, pool, pool_as, url};

#[tokio::test]
async fn instances_may_start_at_once() {
    let Ok(url) = url() else { return };
    let schema = OwnSchema::new(url);
    let starts = (0..6).map(|_| async {
        let pool = connect(&schema.url).await.unwrap();
        let store = PostgresInventory::new(pool).with_schema(schema.name.clone());
        store.migrate().await.unwrap();
        store
    });
    let stores = futures::future::join_all(starts).await;
    for (n, store) in stores.iter().enumerate() {
        set(store, "tee", n as u64).await;
    }
    stores[0].migrate().await.unwrap();
    assert_eq!(stock(&stores[0], "tee").await.physical(), 5);
}

#[tokio::test]
async fn nothing_of_the_hosts_is_touched() {
    let Ok(url) = url() else { return };
    let schema = OwnSchema::new(url);
    let pool = pool(&schema.url).await;
    let outside = format!(
        "SELECT coalesce(string_agg(n.nspname || '.' || c.relname, ',' ORDER BY 1), '')
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname NOT LIKE 'case\\_%' AND n.nspname NOT LIKE 'pg\\_%'
            AND n.nspname <> '{}'",
        schema.name
    );
    let outside = || async {
        let query = sqlx::query_scalar::<_, String>(AssertSqlSafe(outside.clone()));
        query.fetch_one(&pool).await.unwrap()
    };
    let before = outside().await;
    let store = PostgresInventory::new(pool.clone()).with_schema(schema.name.clone());
    store.migrate().await.unwrap();
    assert_eq!(outside().await, before);
    let path: String = sqlx::query_scalar("SHOW search_path")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert!(!path.contains("case_"), "{path}");
}

#[tokio::test]
async fn migrations_may_be_run_by_hand() {
    let Ok(url) = url() else { return };
    let schema = OwnSchema::new(url);
    let pool = pool(&schema.url).await;
    let name = &schema.name;
    let mut by_hand = format!("CREATE SCHEMA {name}; SET LOCAL search_path TO {name};");
    for (_, sql) in Component::Inventory.sql() {
        by_hand.push_str(sql);
    }
    sqlx::raw_sql(AssertSqlSafe(by_hand))
        .execute(&pool)
        .await
        .unwrap();
    let store = PostgresInventory::new(pool.clone()).with_schema(name.clone());
    set(&store, "tee", 3).await;
    assert_eq!(stock(&store, "tee").await.physical(), 3);
}

#[tokio::test]
async fn without_tables_the_error_says_what_to_do() {
    let Ok(url) = url() else { return };
    let schema = OwnSchema::new(url);
    let store = PostgresInventory::new(pool(&schema.url).await).with_schema(schema.name.clone());
    let error = reserve(&store, &wants("r", [line("tee", 1)])).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("run the migrations"), "{error}");
}

#[tokio::test]
async fn a_raised_epoch_wins_over_higher_numbers() {
    let Some(h) = open().await else { return };
    for of in ["cap", "tee"] {
        set(&h.store, of, 5).await;
        let published = [(stock(&h.store, of).await.sku().clone(), Version::new(0, 99))];
        h.store.mark_published(&published).await.unwrap();
    }
    let before = stock(&h.store, "tee").await;
    assert_eq!(h.store.raise_epoch().await.unwrap(), 1);
    let after = stock(&h.store, "tee").await;
    assert_eq!(after.version(), Version::new(1, before.version().number));
    let page = h.store.unpublished(None, at_most(10)).await.unwrap();
    assert_eq!((page.changes.len(), page.epoch), (2, 1), "published again");
    reserve(&h.store, &wants("r", [line("tee", 1)]))
        .await
        .unwrap();
    set(&h.store, "new", 1).await;
    for of in ["new", "tee"] {
        assert_eq!(stock(&h.store, of).await.version().epoch, 1, "{of}");
    }
}

#[tokio::test]
async fn raising_the_epoch_waits_no_longer_than_others_do() {
    let Some(h) = open().await else { return };
    for of in ["cap", "tee"] {
        set(&h.store, of, 5).await;
    }
    let host = host_with_a_tee(&h).await;
    let timeouts = Timeouts::default().with_lock(Duration::from_millis(200));
    let raising = h.store.clone().with_timeouts(timeouts);
    let raising = tokio::time::timeout(Duration::from_secs(20), raising.raise_epoch());
    let raised = raising.await.expect("it gives up by itself");
    let told = raised.unwrap_err();
    assert!(matches!(told.retry(), Retry::After(_)), "{told}");
    for word in ["raise_epoch", "lock", "200ms"] {
        assert!(told.to_string().contains(word), "{word}: {told}");
    }
    // Nobody stands behind it any more.
    reserve(&h.store, &wants("r", [line("cap", 1)]))
        .await
        .unwrap();
    host.commit().await.unwrap();
    assert_eq!(h.store.raise_epoch().await.unwrap(), 1);
}

#[tokio::test]
async fn the_documented_rights_are_enough_and_no_more() {
    let Some(h) = open().await else { return };
    let schema = &h.schema.name;
    let role = format!("{schema}_role");
    run(&h, &format!("CREATE ROLE {role}")).await;
    run(&h, &documented_grants("inventory", schema, &role)).await;
    let pool = pool_as(&h.schema.url, &role).await;
    let store = PostgresInventory::new(pool.clone()).with_schema(schema.clone());
    for of in ["cap", "tee"] {
        set(&store, of, 10).await;
    }
    let lines = [line("tee", 1), line("cap", 1)];
    for request in [wants("one", [line("tee", 1)]), wants("two", lines)] {
        reserve(&store, &request).await.unwrap();
    }
    let confirm = TransitionRequest {
        id: id("one"),
        transition: Transition::Confirm,
        acting_for: ActingFor::Anyone,
    };
    store.transition(&confirm).await.unwrap();
    run(
        &h,
        "UPDATE {schema}.reservations SET deadline = now() WHERE id = 'two'",
    )
    .await;
    let swept = store.expire_overdue(at_most(10)).await.unwrap();
    assert_eq!(swept.outcomes.len(), 1);
    store.expire(&[id("two")]).await.unwrap().remove(0).unwrap();
    assert_eq!(stock(&store, "tee").await.reserved(), 1);
    store.scan(None, at_most(10)).await.unwrap();
    let movements = store
        .movements(&sku("tee"), None, at_most(10))
        .await
        .unwrap();
    assert_eq!(movements.movements.len(), 4);
    let changes = store.unpublished(None, at_most(10)).await.unwrap().changes;
    let published: Vec<_> = changes.iter().map(|c| (c.sku.clone(), c.version)).collect();
    store.mark_published(&published).await.unwrap();
    let long_ago = Duration::ZERO;
    let purged = store.purge_reservations(long_ago, at_most(10)).await;
    assert_eq!(purged.unwrap(), Purged::new(1, Rest::None));
    let purged = store.purge_movements(long_ago, at_most(100)).await;
    assert_eq!(purged.unwrap(), Purged::new(7, Rest::None));
    assert_eq!(store.raise_epoch().await.unwrap(), 1);

    let delete = format!("DELETE FROM {schema}.levels");
    let deleted = sqlx::raw_sql(AssertSqlSafe(delete)).execute(&pool).await;
    assert!(deleted.is_err(), "levels are never deleted");
    run(&h, &format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
}

#[tokio::test]
async fn counts_and_movements_are_guarded_by_the_database_as_well() {
    let Some(h) = open().await else { return };
    set(&h.store, "tee", 5).await;
    for (change, rule) in [
        ("levels SET reserved = 6", "levels_promised_check"),
        ("levels SET escrowed = 6", "levels_promised_check"),
        ("levels SET reserved = -1", "units_check"),
        ("levels SET escrowed = -1", "units_check"),
        ("levels SET physical = -1", "units_check"),
        ("movements SET cause = 'gift'", "movement_cause_check"),
        ("movements SET cause_id = NULL", "cause_id"),
        (
            "movements SET asked.reason = NULL",
            "movement_adjustment_check",
        ),
        ("movements SET asked.change = 'add'", "stock_change_check"),
    ] {
        let update = format!("UPDATE {}.{change}", h.schema.name);
        let refused = sqlx::raw_sql(AssertSqlSafe(update)).execute(&h.pool).await;
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains(rule), "{change}: {refused}");
    }
    run(&h, "UPDATE {schema}.levels SET reserved = 5").await;
}

#[tokio::test]
async fn what_guarantees_rest_on_is_read() {
    let Some(h) = open().await else { return };
    let settings = ServerSettings::read(&h.pool).await.unwrap();
    assert!(settings.version >= 140_000);
    assert!(!settings.read_only);
}
