//! The outbox.

use std::num::NonZeroUsize;

use async_trait::async_trait;
use sqlx::PgConnection;
use stockade_inventory_core::{
    Cursor, InventoryError, OutboxPage, Sku, StockChanged, StockOutbox, Version,
};

use crate::error::committing;
use crate::inventory::read::{cut, last_sku, one_more};
use crate::inventory::rows::{self, signed};
use crate::inventory::tables::moment;
use crate::inventory::{Pooled, PostgresInventory};

/// The level's row has a mark that it is unpublished. So a change needs no second row, and the mark
/// becomes visible with the commit of the change.
#[async_trait]
impl StockOutbox for PostgresInventory<Pooled> {
    async fn unpublished(
        &self,
        after: Option<&Cursor>,
        limit: NonZeroUsize,
    ) -> Result<OutboxPage, InventoryError> {
        let query = sqlx::query(self.tables.statements.unpublished.clone())
            .bind(last_sku(after)?.map(|sku| sku.to_string()))
            .bind(one_more(limit));
        let found = self.read("unpublished", query).await?;
        let (now, epoch) = moment(&found)?;
        let mut stock = rows::stock(&found)?;
        let next = cut(&mut stock, limit).map(|last| Cursor(last.sku().to_string()));
        let mut traces = rows::traces(&found)?;
        let changes = stock.iter().map(|stock| {
            let change = StockChanged::from(stock);
            // Most changes have none.
            if traces.is_empty() {
                return change;
            }
            // That of the newest change, if this one has a trace.
            let trace = traces.remove(&(change.sku.to_string(), change.changed_at));
            change.with_trace(trace)
        });
        let changes = changes.collect();
        Ok(OutboxPage::new(changes, epoch, now, next))
    }

    async fn mark_published(&self, published: &[(Sku, Version)]) -> Result<(), InventoryError> {
        const OPERATION: &str = "mark_published";
        let skus: Vec<&str> = published.iter().map(|(sku, _)| sku.as_str()).collect();
        let (epochs, numbers): (Vec<i64>, Vec<i64>) = published
            .iter()
            .map(|(_, version)| (i64::from(version.epoch), signed(version.number)))
            .unzip();
        let marking = async |connection: &mut PgConnection| {
            let marked = sqlx::query(self.tables.statements.mark_published.clone())
                .bind(skus)
                .bind(epochs)
                .bind(numbers)
                .execute(connection)
                .await;
            marked.map(drop).map_err(committing(OPERATION))
        };
        Ok(self.sessions.ask(OPERATION, marking).await?)
    }
}
