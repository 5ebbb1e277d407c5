//! The tables of stock: how their rows are locked and loaded for the book to decide on.

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

/// The statements of one schema, and in which order its locations are tried: what all stores over
/// it share.
#[derive(Debug)]
pub(crate) struct Tables {
    pub(crate) statements: Statements,
    pub(crate) priority: LocationPriority,
}

/// A call that changes something.
#[async_trait]
pub(crate) trait Call: Sync {
    /// Its name, in errors.
    const OPERATION: &'static str;
    /// What is answered.
    type Outcome: Send;
    /// What was found beside what is in the book.
    type Found: Send;

    /// Locks the rows that the decision rests on, and loads them.
    ///
    /// Locks are taken in one order by all calls: reservations that are there, by id; then
    /// levels, by SKU and location. Ids and levels that are not there are locked by nobody: two
    /// calls that add the same one collide when they write, and the second begins again.
    async fn load(
        &self,
        tables: &Tables,
        connection: &mut PgConnection,
    ) -> Result<(Book, Self::Found), PostgresError>;

    /// Decides on what was loaded.
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

    /// A book with the levels that reservations hold units of, locked, and the time since when;
    /// or at `now` where there are none.
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

/// The time and the epoch, which every row of such an answer has.
pub(crate) fn moment(found: &[PgRow]) -> Result<(Timestamp, u32), PostgresError> {
    let Some(last) = found.last() else {
        return Err(rows::damaged("there is no epoch in the table epochs"));
    };
    Ok((rows::now(last)?, rows::epoch(last)?))
}
