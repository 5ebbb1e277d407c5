//! Finding the overdue.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Row};
use stockade_inventory_core::{Expiry, InventoryError, InventoryStore, ReservationState, Rest};

use super::conformance::PostgresHarness;
use super::shop::{at_most, briefly, id, line, open, reserve, run, set, stock, wants};

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
        let swept = h.store.expire_overdue(at_most(2)).await.unwrap();
        expired.extend(swept.outcomes.into_iter().filter_map(Result::ok));
    }
    let ids: Vec<&str> = expired.iter().map(|r| r.id.as_str()).collect();
    assert_eq!(ids, ["r3", "r4", "r5"]);
    let swept = h.store.expire_overdue(at_most(10)).await.unwrap();
    assert_eq!(swept.rest, Rest::None, "damage is no rest");
    assert_eq!(swept.outcomes.len(), 3, "each is reported");
    for outcome in swept.outcomes {
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
    let outcomes = h.store.expire(&ids).await.unwrap();
    for (id, outcome) in ids.iter().zip(&outcomes) {
        match outcome {
            Ok(Expiry::Expired(_)) => assert_ne!(id.as_str(), "damaged"),
            Err(InventoryError::Damaged { what }) => assert!(what.contains("damaged"), "{what}"),
            outcome => panic!("{id}: {outcome:?}"),
        }
    }
    assert_eq!(stock(&h.store, "tee").await.reserved(), 1);
}

/// How many reservations are in the table in the end; more where the long form is asked for.
fn many() -> u32 {
    let long = std::env::var_os("STOCKADE_LONG").is_some_and(|value| !value.is_empty());
    if long { 1_000_000 } else { 100_000 }
}

#[tokio::test]
async fn the_overdue_are_found_by_index() {
    let Some(h) = open().await else { return };
    set(&h.store, "tee", 9_000_000).await;
    let few = 10_000;
    fill(&h, 1, few).await;
    let (pages_of_few, _) = look_up(&h).await;
    fill(&h, few + 1, many()).await;
    let (pages_of_many, plan) = look_up(&h).await;
    println!(
        "{pages_of_few} pages of {few}, {pages_of_many} pages of {}",
        many()
    );
    assert!(plan.contains("reservations_deadline_idx"), "{plan}");
    assert!(!plan.contains("Seq Scan on reservations"), "{plan}");
    // The index is a level deeper, and what is overdue lies on more pages.
    assert!(
        pages_of_many <= 2 * pages_of_few,
        "of {pages_of_few}: {plan}"
    );

    let swept = h.store.expire_overdue(at_most(50)).await.unwrap();
    assert_eq!(swept.rest, Rest::More);
    assert_eq!(swept.outcomes.len(), 50);
    for reservation in swept.outcomes {
        assert_eq!(reservation.unwrap().state, ReservationState::Expired);
    }
    let held = h.store.reservation(&id("old-10")).await.unwrap();
    assert_eq!(held.state, ReservationState::Held);
}

/// Of these reservations, one in ten is held, and one in a hundred overdue.
async fn fill(h: &PostgresHarness, first: u32, last: u32) {
    let fill = format!(
        "INSERT INTO {{schema}}.reservations
         SELECT 'old-' || n, 'ada',
            CASE WHEN n % 10 = 0 THEN 'held' ELSE 'confirmed' END,
            now() + CASE WHEN n % 100 = 0 THEN -1 ELSE 1 END * interval '1 hour',
            now(), now(), '[{{\"sku\": \"tee\", \"location\": \"main\", \"quantity\": 1}}]'
         FROM generate_series({first}, {last}) AS n;
         UPDATE {{schema}}.levels SET reserved = {last};
         ANALYZE {{schema}}.reservations"
    );
    run(h, &fill).await;
}

/// How many pages the server reads for the very statement of a sweep, and how.
async fn look_up(h: &PostgresHarness) -> (u64, String) {
    let sql = include_str!("../../../src/inventory/sql/lock_overdue.sql")
        .replace("{schema}", h.schema.name.as_str())
        .replace("{reservation}", "r.id");
    let rows = sqlx::query(AssertSqlSafe(format!("EXPLAIN (ANALYZE, BUFFERS) {sql}")))
        .bind(50_i64)
        .bind("1970-01-01")
        .bind("")
        .fetch_all(&h.pool);
    let rows = rows.await.unwrap();
    let lines: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let buffers = lines.iter().find(|line| line.contains("Buffers: shared"));
    let counts = buffers.unwrap().split_whitespace();
    let counts = counts.filter_map(|word| {
        let read = word.strip_prefix("hit=").or(word.strip_prefix("read="))?;
        read.parse::<u64>().ok()
    });
    (counts.sum(), lines.join("\n"))
}
