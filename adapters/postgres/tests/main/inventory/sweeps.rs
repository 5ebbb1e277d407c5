//! Finding the overdue.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Row};
use stockade_inventory_core::{Expiry, InventoryError, InventoryStore, ReservationState};

use super::conformance::PostgresHarness;
use super::shop::{briefly, id, line, open, reserve, run, set, stock, wants};

#[tokio::test]
async fn damage_stands_in_nobodys_way() {
    let Some(h) = open().await else { return };
    set(&h.store, "tee", 50).await;
    for n in 0..6 {
        let request = briefly(wants(&format!("r{n}"), [line("tee", 1)]));
        reserve(&h.store, &request).await.unwrap();
    }
    // The longest overdue: lines that are none, a line of nothing, and a level that is not there.
    for (n, lines) in [
        (0, r#"[{"sku": "tee"}]"#),
        (1, r#"[{"sku": "tee", "location": "main", "quantity": 0}]"#),
        (
            2,
            r#"[{"sku": "ghost", "location": "main", "quantity": 1}]"#,
        ),
    ] {
        let damage =
            format!("UPDATE {{schema}}.reservations SET lines = '{lines}' WHERE id = 'r{n}'");
        run(&h, &damage).await;
    }
    tokio::time::sleep(Duration::from_millis(1100)).await;
    // Each sweep could be filled by the damaged ones.
    let mut expired = Vec::new();
    for _ in 0..3 {
        let swept = h.store.expire_overdue(2).await.unwrap();
        expired.extend(swept.into_iter().filter_map(Result::ok));
    }
    let ids: Vec<&str> = expired.iter().map(|r| r.id.as_str()).collect();
    assert_eq!(ids, ["r3", "r4", "r5"]);
    let swept = h.store.expire_overdue(10).await.unwrap();
    assert_eq!(swept.len(), 3, "each is told");
    for outcome in swept {
        assert!(
            matches!(&outcome, Err(InventoryError::Damaged { what }) if !what.is_empty()),
            "{outcome:?}"
        );
    }
    assert_eq!(stock(&h.store, "tee").await.reserved(), 3);
}

#[tokio::test]
async fn damage_spoils_no_batch() {
    let Some(h) = open().await else { return };
    set(&h.store, "tee", 50).await;
    let ids = [id("good"), id("damaged"), id("better")];
    for id in &ids {
        let request = briefly(wants(id.as_str(), [line("tee", 1)]));
        reserve(&h.store, &request).await.unwrap();
    }
    run(
        &h,
        "UPDATE {schema}.reservations SET deadline = now();
         UPDATE {schema}.reservations SET lines = '[7]' WHERE id = 'damaged'",
    )
    .await;
    let outcomes = h.store.expire(&ids).await;
    for (id, outcome) in ids.iter().zip(&outcomes) {
        match outcome {
            Ok(Expiry::Expired(_)) => assert_ne!(id.as_str(), "damaged"),
            Err(InventoryError::Damaged { what }) => assert!(what.contains("damaged"), "{what}"),
            outcome => panic!("{id}: {outcome:?}"),
        }
    }
    assert_eq!(stock(&h.store, "tee").await.reserved(), 1);
}

/// How many reservations are in the table; more where the long form is asked for.
fn many() -> usize {
    let long = std::env::var_os("STOCKADE_LONG").is_some_and(|value| !value.is_empty());
    if long { 1_000_000 } else { 100_000 }
}

#[tokio::test]
async fn the_overdue_are_found_by_index() {
    let Some(h) = open().await else { return };
    set(&h.store, "tee", 9_000_000).await;
    let fill = format!(
        "INSERT INTO {{schema}}.reservations
         SELECT 'old-' || n, 'ada',
            CASE WHEN n % 10 = 0 THEN 'held' ELSE 'confirmed' END,
            now() + CASE WHEN n % 1000 = 0 THEN -1 ELSE 1 END * interval '1 hour',
            now(), now(), '[{{\"sku\": \"tee\", \"location\": \"main\", \"quantity\": 1}}]'
         FROM generate_series(1, {}) AS n;
         UPDATE {{schema}}.levels SET reserved = {};
         ANALYZE {{schema}}.reservations",
        many(),
        many()
    );
    run(&h, &fill).await;

    let plan = explain(&h).await;
    assert!(plan.contains("reservations_deadline_idx"), "{plan}");
    assert!(!plan.contains("Seq Scan on reservations"), "{plan}");

    let swept = h.store.expire_overdue(50).await.unwrap();
    assert_eq!(swept.len(), 50);
    for reservation in swept {
        assert_eq!(reservation.unwrap().state, ReservationState::Expired);
    }
    let held = h.store.reservation(&id("old-10")).await.unwrap();
    assert_eq!(held.state, ReservationState::Held);
}

/// How the server runs the very statement that a sweep does.
async fn explain(h: &PostgresHarness) -> String {
    let sql = include_str!("../../../src/inventory/sql/lock_overdue.sql")
        .replace("{schema}", h.schema.name.as_str())
        .replace("{reservation}", "r.id");
    let rows = sqlx::query(AssertSqlSafe(format!("EXPLAIN {sql}")))
        .bind(50_i64)
        .bind("1970-01-01")
        .bind("")
        .fetch_all(&h.pool);
    let rows = rows.await.unwrap();
    let lines = rows.iter().map(|row| row.get::<String, _>(0));
    lines.collect::<Vec<_>>().join("\n")
}
