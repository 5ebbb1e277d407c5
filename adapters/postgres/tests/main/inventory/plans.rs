//! Plans are made once, perhaps while the tables were small.

use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, PgPool, Row};
use stockade_inventory_core::{
    InventoryStore, Sku, StockOutbox, StockRetention, StockSource, Version,
};
use stockade_postgres::PostgresInventory;

use super::shop::{at_most, id, line, open, reserve, run, set, sku, wants};

#[tokio::test]
async fn no_plan_settles_on_reading_a_whole_table() {
    let Some(h) = open().await else { return };
    set(&h.store, "tee", 1_000_000).await;
    reserve(&h.store, &wants("first", [line("tee", 1)]))
        .await
        .unwrap();
    // Otherwise autovacuum may analyze a table in the middle of the load below, when its pages are
    // full and no row is visible, and the server then makes new plans from these statistics.
    for table in ["levels", "reservations", "movements"] {
        let sql = format!(
            "ALTER TABLE {{schema}}.{table} SET (autovacuum_enabled = off);
             ANALYZE {{schema}}.{table}"
        );
        run(&h, &sql).await;
    }
    // One connection, which plans each statement once, now.
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .after_connect(|connection, _| {
            let once = sqlx::raw_sql("SET plan_cache_mode = force_generic_plan");
            Box::pin(async move { once.execute(connection).await.map(drop) })
        });
    let pool = pool.connect(&h.schema.url).await.unwrap();
    let store = PostgresInventory::new(pool.clone()).with_schema(h.schema.name.clone());
    everything(&store).await;
    run(
        &h,
        "INSERT INTO {schema}.levels
            SELECT 'sku-' || n, 'main', 9, 0, 0, 0, 1, now() FROM generate_series(1, 100000) AS n;
         INSERT INTO {schema}.reservations
            SELECT 'old-' || n, 'ada', 'fulfilled', now(), now(), now(), '[]'
            FROM generate_series(1, 100000) AS n",
    )
    .await;
    let plans = plans(&pool).await;
    assert!(plans.iter().any(|plan| plan.contains("Grants one line")));
    for plan in plans {
        for table in ["levels", "reservations", "movements"] {
            let whole = format!("Seq Scan on {table}");
            assert!(!plan.contains(&whole), "{plan}");
        }
    }
}

/// Calls that are one statement, and so plan as the host's connection is set to.
async fn everything(store: &PostgresInventory) {
    let tee: Sku = sku("tee");
    reserve(store, &wants("second", [line("tee", 1)]))
        .await
        .unwrap();
    let short = reserve(store, &wants("short", [line("tee", 9_000_000)])).await;
    assert!(short.is_err(), "it was looked up afresh");
    store.stock(std::slice::from_ref(&tee)).await.unwrap();
    store.scan(None, at_most(10)).await.unwrap();
    store.reservation(&id("first")).await.unwrap();
    store.movements(&tee, None, at_most(10)).await.unwrap();
    store.unpublished(None, at_most(10)).await.unwrap();
    let published = [(tee, Version::new(0, 1))];
    store.mark_published(&published).await.unwrap();
    let day = std::time::Duration::from_secs(24 * 3600);
    store.purge_reservations(day, at_most(10)).await.unwrap();
}

/// Each statement that the pool's one connection has prepared, with its plan.
async fn plans(pool: &PgPool) -> Vec<String> {
    let mut connection = pool.acquire().await.unwrap();
    let prepared = "SELECT name, statement, cardinality(parameter_types)
        FROM pg_prepared_statements WHERE statement NOT LIKE '%pg_prepared_statements%'";
    let prepared = sqlx::query(prepared)
        .fetch_all(&mut *connection)
        .await
        .unwrap();
    let mut plans = Vec::new();
    for row in prepared {
        let (name, statement): (String, String) = (row.get(0), row.get(1));
        let nulls = vec!["NULL"; usize::try_from(row.get::<i32, _>(2)).unwrap()].join(", ");
        let arguments = if nulls.is_empty() {
            nulls
        } else {
            format!("({nulls})")
        };
        let explain = AssertSqlSafe(format!("EXPLAIN EXECUTE {name}{arguments}"));
        let lines = sqlx::raw_sql(explain)
            .fetch_all(&mut *connection)
            .await
            .unwrap();
        let lines: Vec<String> = lines.iter().map(|line| line.get(0)).collect();
        plans.push(format!("{statement}\n{}", lines.join("\n")));
    }
    plans
}
