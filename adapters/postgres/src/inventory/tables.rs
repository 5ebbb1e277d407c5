//! The tables of stock: how their rows are locked and loaded into the book.

use std::collections::BTreeSet;

use async_trait::async_trait;
use sqlx::PgConnection;
use sqlx::postgres::PgRow;
use stockade_change_feed::Timestamp;
use stockade_inventory_core::Reservation;
use stockade_inventory_core::book::{Book, LocationPriority};

use crate::error::{PostgresError, failed};
use crate::inventory::rows;
use crate::inventory::statements::Statements;
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

    pub(crate) fn book(&self, now: Timestamp, epoch: u32) -> Book {
        Book::new(now, epoch, self.priority.clone())
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
            return Ok(self.book(now, epoch));
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
        let mut book = self.book(now, epoch);
        load_levels(&mut book, &locked)?;
        Ok(book)
    }
}

pub(crate) fn load_levels(book: &mut Book, found: &[PgRow]) -> Result<(), PostgresError> {
    for row in found {
        if let Some(level) = rows::level(row)? {
            book.load_level(level);
        }
    }
    Ok(())
}

/// The time and the epoch, which every row of the result has.
pub(crate) fn moment(found: &[PgRow]) -> Result<(Timestamp, u32), PostgresError> {
    let Some(last) = found.last() else {
        return Err(rows::damaged("there is no epoch in the table epochs"));
    };
    Ok((rows::now(last)?, rows::epoch(last)?))
}
