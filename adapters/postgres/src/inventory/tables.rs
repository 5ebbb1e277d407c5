//! The tables of stock: how their rows are locked and loaded into the book, and how its changes are
//! written.

use std::collections::BTreeSet;

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use stockade_change_feed::{Failure, Timestamp, trace};
use stockade_inventory_core::book::{Book, Changed, Changes, LocationPriority};
use stockade_inventory_core::{Movement, Reservation, StockLevel};

use crate::error::{PostgresError, failed};
use crate::inventory::rows::{self, CauseColumns, signed};
use crate::inventory::statements::Statements;
use crate::inventory::time::Time;
use crate::names::Schema;

/// The statements of one schema, and the order of its locations. All stores over the schema share
/// them.
#[derive(Debug)]
pub(crate) struct Tables {
    pub(crate) statements: Statements,
    pub(crate) priority: LocationPriority,
}

/// A call that changes rows.
#[async_trait]
pub(crate) trait Call: Sync {
    /// Its name, in errors.
    const OPERATION: &'static str;
    /// The result of one item.
    type Outcome: Send;
    /// What was found, in addition to the rows in the book.
    type Found: Send;

    /// Locks the rows that the decision needs, and loads them.
    ///
    /// All calls lock in the same order: existing reservations by id, then existing levels by SKU
    /// and location. Rows that do not exist can not be locked: two calls that insert the same row
    /// conflict when they write, and the second one is repeated.
    async fn load(
        &self,
        tables: &Tables,
        connection: &mut PgConnection,
    ) -> Result<(Book, Self::Found), PostgresError>;

    /// Decides on the loaded rows.
    fn decide(&self, book: &mut Book, found: Self::Found) -> Self::Outcome;
}

impl Tables {
    pub(crate) fn new(schema: &Schema, priority: LocationPriority) -> Self {
        Self {
            statements: Statements::new(schema),
            priority,
        }
    }

    /// A book with these levels.
    pub(crate) fn book(
        &self,
        (now, epoch): (Timestamp, u32),
        levels: &[PgRow],
    ) -> Result<Book, PostgresError> {
        let mut book = Book::new(now, epoch, self.priority.clone());
        for row in levels {
            if let Some(level) = rows::level(row)? {
                book.load_level(level);
            }
        }
        Ok(book)
    }

    /// Locks all levels of these SKUs.
    pub(crate) async fn lock_skus(
        &self,
        operation: &'static str,
        skus: BTreeSet<&str>,
        connection: &mut PgConnection,
    ) -> Result<Vec<PgRow>, PostgresError> {
        let skus: Vec<&str> = skus.into_iter().collect();
        sqlx::query(self.statements.lock_skus.clone())
            .bind(skus)
            .fetch_all(connection)
            .await
            .map_err(failed(operation))
    }

    /// A book with the locked levels of these reservations, and the time after locking; or at `now`
    /// if there are no levels.
    pub(crate) async fn lock_levels(
        &self,
        operation: &'static str,
        (now, epoch): (Timestamp, u32),
        reservations: impl IntoIterator<Item = &Reservation>,
        connection: &mut PgConnection,
    ) -> Result<Book, PostgresError> {
        let lines = reservations.into_iter().flat_map(|r| &r.lines);
        let places: BTreeSet<_> = lines
            .map(|line| (line.sku.as_str(), line.location.as_str()))
            .collect();
        if places.is_empty() {
            return self.book((now, epoch), &[]);
        }
        let (skus, locations): (Vec<&str>, Vec<&str>) = places.into_iter().unzip();
        let locked = sqlx::query(self.statements.lock_levels.clone())
            .bind(skus)
            .bind(locations)
            .fetch_all(connection)
            .await
            .map_err(failed(operation))?;
        // The last one was locked last.
        let now = locked.last().map_or(Ok(now), rows::now)?;
        self.book((now, epoch), &locked)
    }

    /// Writes all changes, in one statement, or none.
    ///
    /// # Errors
    /// [`PostgresError::Failed`] with `RestartTransaction` when another transaction has added the
    /// same row.
    pub(crate) async fn write(
        &self,
        operation: &'static str,
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
        let query = sqlx::query_scalar(self.statements.write.clone());
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
}

/// The time and the epoch, which every row of the result has.
pub(crate) fn moment(found: &[PgRow]) -> Result<(Timestamp, u32), PostgresError> {
    let Some(last) = found.last() else {
        return Err(rows::damaged("there is no epoch in the table epochs"));
    };
    let epoch: i64 = last.try_get("store_epoch").map_err(rows::damaged)?;
    let epoch = u32::try_from(epoch).map_err(rows::damaged)?;
    Ok((rows::now(last)?, epoch))
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
    // Only of a new reservation: its lines never change.
    let lines = |row: &Changed<Reservation>| {
        let json = || serde_json::to_string(&row.after.lines);
        let fresh = row.before.is_none();
        fresh.then(|| json().expect("lines are made of strings and numbers"))
    };
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
