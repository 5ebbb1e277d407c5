//! Writes all changes, in one statement.

use sqlx::PgConnection;
use stockade_change_feed::{Failure, trace};
use stockade_inventory_core::book::{Changed, Changes};
use stockade_inventory_core::{Movement, Reservation, StockLevel};

use crate::error::{PostgresError, failed};
use crate::inventory::rows::{CauseColumns, signed};
use crate::inventory::tables::Tables;
use crate::inventory::time::Time;

/// Writes all changes or none.
///
/// # Errors
/// [`PostgresError::Failed`] with `RestartTransaction` when another transaction has added the same
/// row.
pub(crate) async fn write(
    operation: &'static str,
    tables: &Tables,
    changes: Changes,
    connection: &mut PgConnection,
) -> Result<(), PostgresError> {
    let Changes {
        levels,
        reservations,
        movements,
    } = changes;
    let rows = levels.len() + reservations.len() + movements.len();
    if rows == 0 {
        return Ok(());
    }
    let query = sqlx::query_scalar(tables.statements.write.clone());
    let query = bind_levels(query, &levels);
    let query = bind_reservations(query, &reservations);
    let query = bind_movements(query, &movements).bind(current_trace());
    let written: i64 = query
        .fetch_one(connection)
        .await
        .map_err(failed(operation))?;
    if usize::try_from(written) != Ok(rows) {
        let source = format!("only {written} of {rows} rows could be written");
        return Err(Failure::transaction_lost(operation, source).into());
    }
    Ok(())
}

/// The trace of the request that makes the change, if it is recorded.
pub(crate) fn current_trace() -> Option<String> {
    trace::current().map(|trace| trace.to_string())
}

type Query<'q> = sqlx::query::QueryScalar<'q, sqlx::Postgres, i64, sqlx::postgres::PgArguments>;

/// One column of many rows, as an array.
fn column<'a, R, T>(rows: &'a [R], value: impl Fn(&'a R) -> T) -> Vec<T> {
    rows.iter().map(value).collect()
}

fn bind_levels<'q>(query: Query<'q>, levels: &'q [Changed<StockLevel>]) -> Query<'q> {
    let count = |of: fn(&StockLevel) -> u64| column(levels, move |row| signed(of(&row.after)));
    query
        .bind(column(levels, |row| row.before.is_none()))
        .bind(column(levels, |row| row.after.sku.as_str()))
        .bind(column(levels, |row| row.after.location.as_str()))
        .bind(count(|level| level.counts.physical()))
        .bind(count(|level| level.counts.reserved()))
        .bind(count(|level| level.counts.escrowed()))
        .bind(column(levels, |row| i64::from(row.after.version.epoch)))
        .bind(count(|level| level.version.number))
        .bind(column(levels, |row| Time(row.after.changed_at)))
}

fn bind_reservations<'q>(query: Query<'q>, rows: &'q [Changed<Reservation>]) -> Query<'q> {
    query
        .bind(column(rows, |row| row.before.is_none()))
        .bind(column(rows, |row| row.after.id.as_str()))
        .bind(column(rows, |row| row.after.owner.as_str()))
        .bind(column(rows, |row| row.after.state.as_str()))
        .bind(column(rows, |row| Time(row.after.deadline)))
        .bind(column(rows, |row| Time(row.after.created_at)))
        .bind(column(rows, |row| Time(row.after.changed_at)))
        .bind(column(rows, lines))
}

/// The lines of a new reservation; they never change.
fn lines(row: &Changed<Reservation>) -> Option<String> {
    let fresh = row.before.is_none();
    let json = || serde_json::to_string(&row.after.lines);
    fresh.then(|| json().expect("lines are made of strings and numbers"))
}

fn bind_movements<'q>(query: Query<'q>, rows: &'q [Movement]) -> Query<'q> {
    let cause = |row: &'q Movement| CauseColumns::of(&row.cause);
    let asked = |row: &'q Movement| cause(row).asked;
    query
        .bind(column(rows, |row| row.sku.as_str()))
        .bind(column(rows, |row| row.location.as_str()))
        .bind(column(rows, |row| signed(row.version.number)))
        .bind(column(rows, |row| i64::from(row.version.epoch)))
        .bind(column(rows, |row| Time(row.at)))
        .bind(column(rows, |row| row.delta.physical))
        .bind(column(rows, |row| row.delta.reserved))
        .bind(column(rows, |row| row.delta.escrowed))
        .bind(column(rows, |row| cause(row).name))
        .bind(column(rows, |row| cause(row).id))
        .bind(column(rows, |row| asked(row).map(|(change, ..)| change)))
        .bind(column(rows, |row| asked(row).map(|(_, amount, _)| amount)))
        .bind(column(rows, |row| asked(row).map(|(.., reason)| reason)))
}
