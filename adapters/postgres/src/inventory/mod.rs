//! Stock and reservations.

mod calls;
mod outbox;
mod read;
mod retention;
mod rows;
mod single;
mod statements;
mod store;
mod sweep;
mod tables;
mod time;

use std::fmt;
use std::sync::Arc;

use sqlx::{PgConnection, PgPool};
use stockade_inventory_core::book::LocationPriority;
use tokio::sync::Mutex;

use crate::error::{PostgresError, failed};
use crate::inventory::tables::Tables;
use crate::migrate::{Component, migrate};
use crate::names::Schema;
pub use crate::session::{Pooled, Within};
use crate::session::{Sessions, Timeouts};

const RAISE_EPOCH: &str = "raise_epoch";

/// Inventory in Postgres. Clones share one store.
///
/// Every change of a level is decided under the lock of its row, and written in one transaction
/// with its reservation and its movement. A reservation of one line takes one round trip. The clock
/// is the server's.
///
/// [`within`](Self::within) returns the same store inside a transaction of the host.
///
/// ```no_run
/// use std::sync::Arc;
///
/// use stockade_inventory_core::{Inventory, Sku};
/// use stockade_postgres::{PostgresInventory, connect};
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let store = PostgresInventory::new(connect("postgres://shop@localhost/shop").await?);
/// store.migrate().await?;
/// let inventory = Inventory::new(Arc::new(store));
/// println!("{:?}", inventory.stock(&[Sku::new("tee-m")?]).await?);
/// # Ok(())
/// # }
/// ```
pub struct PostgresInventory<S = Pooled> {
    tables: Arc<Tables>,
    schema: Schema,
    sessions: S,
}

impl PostgresInventory {
    /// A store over a pool of the host, in the schema `inventory`.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        let schema = Component::Inventory.schema();
        Self {
            tables: Arc::new(Tables::new(&schema, LocationPriority::default())),
            schema,
            sessions: Pooled::new(pool),
        }
    }

    /// Sets the schema.
    #[must_use]
    pub fn with_schema(mut self, schema: Schema) -> Self {
        let priority = self.tables.priority.clone();
        self.tables = Arc::new(Tables::new(&schema, priority));
        self.schema = schema;
        self
    }

    /// Tries locations in this order, for lines that name no location. All processes must use the
    /// same order.
    #[must_use]
    pub fn with_locations(mut self, priority: LocationPriority) -> Self {
        self.tables = Arc::new(Tables::new(&self.schema, priority));
        self
    }

    /// Sets the timeouts.
    #[must_use]
    pub fn with_timeouts(mut self, timeouts: Timeouts) -> Self {
        self.sessions.timeouts = timeouts;
        self
    }

    /// Brings the tables up to date; see [`migrate`](crate::migrate()).
    ///
    /// # Errors
    /// As for [`migrate`](crate::migrate()).
    pub async fn migrate(&self) -> Result<(), PostgresError> {
        migrate(&self.sessions.pool, Component::Inventory, &self.schema).await
    }

    /// The same store inside the transaction that was begun on this connection. The transaction
    /// must be READ COMMITTED, the default. Outcomes take effect when the host commits.
    ///
    /// Statements that can fail run in a savepoint, so that a refusal or a conflict leaves the
    /// host's transaction unchanged. After an error whose `retry()` is `RestartTransaction`, the
    /// host must begin its whole transaction again. Locks on stock are held until the host's
    /// transaction ends, so reserve late in it. The host's timeouts apply. No timer is set; call
    /// `Inventory::committed` after the commit.
    pub fn within<'c>(&self, connection: &'c mut PgConnection) -> PostgresInventory<Within<'c>> {
        PostgresInventory {
            tables: self.tables.clone(),
            schema: self.schema.clone(),
            sessions: Within(Mutex::new(connection)),
        }
    }

    /// Raises the epoch. Operators call it after a restore, or after a failover that lost the last
    /// writes, so that readers do not ignore the lower versions. Every SKU is published again.
    ///
    /// Waits for calls in progress, and for host transactions that changed stock, up to the lock
    /// timeout; later calls wait meanwhile. Then stock can not be changed for about a second for
    /// 100,000 levels.
    ///
    /// # Errors
    /// [`PostgresError::Locked`] when a transaction held its lock too long: nothing was changed;
    /// end that transaction, and call again. Other errors when the server can not be reached.
    pub async fn raise_epoch(&self) -> Result<u32, PostgresError> {
        let raised = async {
            let mut transaction = self.sessions.begin(RAISE_EPOCH).await?;
            let raised = self.raise_within(transaction.connection()).await;
            transaction.end(raised.map_err(failed(RAISE_EPOCH))).await
        };
        let epoch = raised.await.map_err(|error| self.sessions.learn(error))?;
        u32::try_from(epoch).map_err(rows::damaged)
    }

    async fn raise_within(&self, connection: &mut PgConnection) -> sqlx::Result<i64> {
        let statements = &self.tables.statements;
        let raise = sqlx::raw_sql(statements.raise_epoch.clone());
        raise.execute(&mut *connection).await?;
        let epoch = sqlx::query_scalar(statements.epoch.clone());
        epoch.fetch_one(connection).await
    }
}

impl Clone for PostgresInventory {
    fn clone(&self) -> Self {
        Self {
            tables: self.tables.clone(),
            schema: self.schema.clone(),
            sessions: self.sessions.clone(),
        }
    }
}

impl<S> fmt::Debug for PostgresInventory<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresInventory")
            .field("schema", &self.schema)
            .finish_non_exhaustive()
    }
}
