//! Purges old reservations and movements.

use std::num::NonZeroUsize;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::PgConnection;
use stockade_inventory_core::{InventoryError, Purged, Rest, StockRetention};

use crate::error::{committing, failed};
use crate::inventory::read::bound;
use crate::inventory::{Pooled, PostgresInventory};
use crate::session::Sessions;

#[async_trait]
impl StockRetention for PostgresInventory<Pooled> {
    async fn purge_reservations(
        &self,
        keep: Duration,
        limit: NonZeroUsize,
    ) -> Result<Purged, InventoryError> {
        const OPERATION: &str = "purge_reservations";
        let purging = async |connection: &mut PgConnection| {
            let removed = sqlx::query(self.tables.statements.purge_reservations.clone())
                .bind(interval(keep))
                .bind(bound(limit))
                .execute(connection)
                .await;
            let removed = removed.map_err(committing(OPERATION))?;
            let count = usize::try_from(removed.rows_affected()).unwrap_or(limit.get());
            Ok(Purged::new(count, Rest::more_if(count == limit.get())))
        };
        Ok(self.sessions.ask(OPERATION, purging).await?)
    }

    async fn purge_movements(
        &self,
        keep: Duration,
        limit: NonZeroUsize,
    ) -> Result<Purged, InventoryError> {
        const OPERATION: &str = "purge_movements";
        let call = async {
            let mut transaction = self.sessions.begin(OPERATION).await?;
            let purged = self.purge(keep, limit, transaction.connection()).await;
            let purged = transaction.end(purged.map_err(failed(OPERATION))).await?;
            let (count, old) = purged;
            let count = usize::try_from(count).unwrap_or(limit.get());
            Ok(Purged::new(count, Rest::more_if(old == bound(limit))))
        };
        Ok(self.in_time(OPERATION, call).await?)
    }
}

impl PostgresInventory {
    /// The number of replaced movements, and of old movements, up to the limit. Waits for other
    /// purges first, because the statement must see their result.
    async fn purge(
        &self,
        keep: Duration,
        limit: NonZeroUsize,
        connection: &mut PgConnection,
    ) -> Result<(i64, i64), sqlx::Error> {
        sqlx::query(self.tables.statements.lock_purge.clone())
            .execute(&mut *connection)
            .await?;
        sqlx::query_as(self.tables.statements.purge_movements.clone())
            .bind(interval(keep))
            .bind(bound(limit))
            .fetch_one(connection)
            .await
    }
}

/// A duration as Postgres stores it: whole microseconds, within its calendar.
fn interval(keep: Duration) -> Duration {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
    let keep = keep.min(CENTURY);
    Duration::new(keep.as_secs(), keep.subsec_micros() * 1_000)
}
