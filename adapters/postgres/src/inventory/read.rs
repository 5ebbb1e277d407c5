//! Reads stock, reservations and movements.

use std::collections::HashMap;
use std::num::NonZeroUsize;

use async_trait::async_trait;
use sqlx::postgres::PgRow;
use stockade_inventory_core::{
    Cursor, InventoryError, LocationId, MovementPage, Reservation, ReservationId, Sku, SkuStock,
    StockPage, StockSource,
};

use crate::error::{PostgresError, failed};
use crate::inventory::{PostgresInventory, rows};
use crate::session::Sessions;

#[async_trait]
impl<S: Sessions> StockSource for PostgresInventory<S> {
    async fn stock(&self, skus: &[Sku]) -> Result<Vec<Option<SkuStock>>, InventoryError> {
        let names: Vec<&str> = skus.iter().map(Sku::as_str).collect();
        let query = sqlx::query(self.tables.statements.stock.clone()).bind(names);
        let found = rows::stock(&self.read("stock", query).await?)?;
        let found: HashMap<Sku, SkuStock> = found
            .into_iter()
            .map(|stock| (stock.sku().clone(), stock))
            .collect();
        Ok(skus.iter().map(|sku| found.get(sku).cloned()).collect())
    }

    async fn scan(
        &self,
        after: Option<&Cursor>,
        limit: NonZeroUsize,
    ) -> Result<StockPage, InventoryError> {
        let query = sqlx::query(self.tables.statements.scan.clone())
            .bind(last_sku(after)?.map(|sku| sku.to_string()))
            .bind(one_more(limit));
        let mut stock = rows::stock(&self.read("scan", query).await?)?;
        let next = cut(&mut stock, limit).map(|last| Cursor(last.sku().to_string()));
        Ok(StockPage::new(stock, next))
    }
}

impl<S: Sessions> PostgresInventory<S> {
    pub(crate) async fn find(
        &self,
        id: &ReservationId,
    ) -> Result<Option<Reservation>, PostgresError> {
        let query = sqlx::query(self.tables.statements.reservation.clone()).bind(id.as_str());
        let found = self.read("reservation", query).await?;
        found.first().map_or(Ok(None), rows::reservation)
    }

    pub(crate) async fn movement_page(
        &self,
        sku: &Sku,
        after: Option<&Cursor>,
        limit: NonZeroUsize,
    ) -> Result<MovementPage, InventoryError> {
        let (number, location) = after.map_or(Ok((0, String::new())), last_movement)?;
        let query = sqlx::query(self.tables.statements.movements.clone())
            .bind(sku.as_str())
            .bind(location)
            .bind(number)
            .bind(one_more(limit));
        let found = self.read("movements", query).await?;
        let movements = found
            .iter()
            .filter_map(|row| rows::movement(row).transpose());
        let mut movements = movements.collect::<Result<Vec<_>, _>>()?;
        let next = cut(&mut movements, limit)
            .map(|last| Cursor(format!("{}@{}", last.version.number, last.location)));
        Ok(MovementPage::new(movements, next))
    }

    /// The rows of one statement that changes nothing.
    pub(crate) async fn read(
        &self,
        operation: &'static str,
        query: sqlx::query::Query<'_, sqlx::Postgres, sqlx::postgres::PgArguments>,
    ) -> Result<Vec<PgRow>, PostgresError> {
        let call = async {
            let mut connection = self.sessions.connection(operation).await?;
            let found = query.fetch_all(&mut *connection).await;
            found.map_err(failed(operation))
        };
        self.in_time(operation, call).await
    }
}

/// A limit as a Postgres parameter.
pub(crate) fn bound(limit: NonZeroUsize) -> i64 {
    i64::try_from(limit.get()).unwrap_or(i64::MAX)
}

/// One row more than the limit shows whether there are more.
pub(crate) fn one_more(limit: NonZeroUsize) -> i64 {
    bound(limit).saturating_add(1)
}

/// Cuts a page to its limit, and returns its last entry if there are more rows.
pub(crate) fn cut<T>(page: &mut Vec<T>, limit: NonZeroUsize) -> Option<&T> {
    if page.len() <= limit.get() {
        return None;
    }
    page.truncate(limit.get());
    page.last()
}

/// A listing of SKUs continues after the last SKU of the page.
pub(crate) fn last_sku(cursor: Option<&Cursor>) -> Result<Option<Sku>, InventoryError> {
    cursor
        .map(|cursor| Sku::new(&cursor.0).map_err(|_| foreign(cursor)))
        .transpose()
}

/// A listing of movements continues after a number at a location: `7@main`.
fn last_movement(cursor: &Cursor) -> Result<(i64, String), InventoryError> {
    let read = || {
        let (number, location) = cursor.0.split_once('@')?;
        let number = number.parse().ok().filter(|number: &i64| *number > 0)?;
        Some((number, LocationId::new(location).ok()?.to_string()))
    };
    read().ok_or_else(|| foreign(cursor))
}

fn foreign(cursor: &Cursor) -> InventoryError {
    InventoryError::invalid("cursor", &cursor.0, "it has to come from an earlier page")
}
