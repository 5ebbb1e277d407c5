//! Forgetting what is long over.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::PgConnection;
use stockade_inventory_core::{InventoryError, StockRetention};

use crate::error::{committing, failed};
use crate::inventory::store::at_least_one;
use crate::inventory::{Pooled, PostgresInventory};
use crate::session::Sessions;

#[async_trait]
impl StockRetention for PostgresInventory<Pooled> {
    async fn purge_reservations(
        &self,
        keep: Duration,
        limit: usize,
    ) -> Result<usize, InventoryError> {
        const OPERATION: &str = "purge_reservations";
        at_least_one(limit)?;
        let purging = async |connection: &mut PgConnection| {
            let removed = sqlx::query(self.tables.statements.purge_reservations.clone())
                .bind(interval(keep))
                .bind(i64::try_from(limit).unwrap_or(i64::MAX))
                .execute(connection)
                .await;
            let removed = removed.map_err(committing(OPERATION))?;
            Ok(usize::try_from(removed.rows_affected()).unwrap_or(limit))
        };
        Ok(self.sessions.ask(OPERATION, purging).await?)
    }

    async fn purge_movements(&self, keep: Duration, limit: usize) -> Result<usize, InventoryError> {
        const OPERATION: &str = "purge_movements";
        at_least_one(limit)?;
        let call = async {
            let mut transaction = self.sessions.begin(OPERATION).await?;
            let purged = self.purge(keep, limit, transaction.connection()).await;
            let purged = transaction.end(purged.map_err(failed(OPERATION))).await?;
            Ok(usize::try_from(purged).unwrap_or(limit))
        };
        Ok(self.in_time(OPERATION, call).await?)
    }
}

impl PostgresInventory {
    /// Waits for other purges first: the statement has to see what they left.
    async fn purge(
        &self,
        keep: Duration,
        limit: usize,
        connection: &mut PgConnection,
    ) -> Result<i64, sqlx::Error> {
        sqlx::query(self.tables.statements.lock_purge.clone())
            .execute(&mut *connection)
            .await?;
        sqlx::query_scalar(self.tables.statements.purge_movements.clone())
            .bind(interval(keep))
            .bind(i64::try_from(limit).unwrap_or(i64::MAX))
            .fetch_one(connection)
            .await
    }
}

/// A duration as Postgres keeps it: whole microseconds, and nothing before its calendar.
fn interval(keep: Duration) -> Duration {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
    let keep = keep.min(CENTURY);
    Duration::new(keep.as_secs(), keep.subsec_micros() * 1_000)
}
