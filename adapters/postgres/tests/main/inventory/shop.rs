//! Short words for cases.

use std::num::NonZeroUsize;
use std::time::Duration;

use sqlx::{AssertSqlSafe, Postgres, Transaction};
use stockade_inventory_core::{
    Adjustment, InventoryError, InventoryStore, Line, Lines, OperationId, OwnerId, Quantity,
    Reason, ReservationId, ReserveRequest, Reserved, Sku, SkuStock, StockChange, StockSource, Ttl,
};
use stockade_testkit::Harness;

use super::conformance::PostgresHarness;

/// An instance of its own, or none where there is no server and none is required.
pub(crate) async fn open() -> Option<PostgresHarness> {
    match PostgresHarness::open().await {
        Ok(harness) => Some(harness),
        Err(absent) => {
            let required = std::env::var_os("STOCKADE_REQUIRE_POSTGRES");
            assert!(required.is_none_or(|value| value.is_empty()), "{absent}");
            eprintln!("skipped: {absent}");
            None
        }
    }
}

/// A limit of a call.
pub(crate) fn at_most(limit: usize) -> NonZeroUsize {
    NonZeroUsize::new(limit).unwrap()
}

pub(crate) fn sku(name: &str) -> Sku {
    Sku::new(name).unwrap()
}

pub(crate) fn id(name: &str) -> ReservationId {
    ReservationId::new(name).unwrap()
}

pub(crate) fn line(of: &str, quantity: u64) -> Line {
    Line::new(sku(of), Quantity::new(quantity).unwrap())
}

pub(crate) fn wants(name: &str, lines: impl IntoIterator<Item = Line>) -> ReserveRequest {
    let owner = OwnerId::new("ada").unwrap();
    ReserveRequest::new(id(name), owner, Lines::new(lines).unwrap())
}

/// For a second only.
pub(crate) fn briefly(request: ReserveRequest) -> ReserveRequest {
    request.with_ttl(Ttl::new(Duration::from_secs(1)).unwrap())
}

pub(crate) fn adjustment(operation: &str, of: &str, change: StockChange) -> Adjustment {
    let operation = OperationId::new(operation).unwrap();
    Adjustment::new(operation, sku(of), change, Reason::new("counted").unwrap())
}

pub(crate) async fn set(store: &dyn InventoryStore, of: &str, count: u64) {
    let operation = format!("set-{}", ReservationId::random());
    let set = adjustment(&operation, of, StockChange::Set(count));
    store.adjust(&[set]).await.unwrap().remove(0).unwrap();
}

/// A host's transaction, still open, that has reserved one tee and so locks its level.
pub(crate) async fn host_with_a_tee(h: &PostgresHarness) -> Transaction<'static, Postgres> {
    let mut host = h.pool.begin().await.unwrap();
    let within = h.store.within(&mut host);
    reserve(&within, &wants("host", [line("tee", 1)]))
        .await
        .unwrap();
    drop(within);
    host
}

pub(crate) async fn reserve(
    store: &dyn InventoryStore,
    request: &ReserveRequest,
) -> Result<Reserved, InventoryError> {
    let mut outcomes = store.reserve(std::slice::from_ref(request)).await?;
    outcomes.remove(0)
}

pub(crate) async fn stock(store: &(impl StockSource + ?Sized), of: &str) -> SkuStock {
    store.stock(&[sku(of)]).await.unwrap().remove(0).unwrap()
}

/// Runs SQL over the tables of an instance; `{schema}` stands for its schema.
pub(crate) async fn run(harness: &PostgresHarness, sql: &str) {
    let sql = sql.replace("{schema}", harness.schema.name.as_str());
    let sql = sqlx::raw_sql(AssertSqlSafe(sql));
    sql.execute(&harness.pool).await.unwrap();
}
