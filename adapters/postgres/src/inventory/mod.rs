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
mod write;

use std::fmt;
use std::sync::Arc;

use sqlx::{PgConnection, PgPool};
use stockade_inventory_core::book::LocationPriority;
use tokio::sync::Mutex;

use crate::error::{PostgresError, failed};
use crate::inventory::tables::{Call, Tables};
use crate::inventory::write::write;
use crate::migrate::{Component, migrate};
use crate::names::Schema;
pub use crate::session::{Pooled, Within};
use crate::session::{Sessions, Timeouts};

const RAISE_EPOCH: &str = "raise_epoch";

/// Inventory in Postgres. Clones share it.
///
/// Every change of a level is decided under its row's lock and written in the same transaction
/// with its reservation and its movement; a reservation of one line takes one round trip. The
/// clock is the server's.
///
/// [`within`](Self::within) gives the same store inside a transaction of the host's.
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
    /// Inventory over a pool of the host's, in the schema `inventory`.
    #[must_use]
    pub fn new(pool: PgPool) -> Self {
        let schema = Component::Inventory.schema();
        Self {
            tables: Arc::new(Tables::new(&schema, LocationPriority::default())),
            schema,
            sessions: Pooled::new(pool),
        }
    }

    /// In this schema.
    #[must_use]
    pub fn with_schema(mut self, schema: Schema) -> Self {
        let priority = self.tables.priority.clone();
        self.tables = Arc::new(Tables::new(&schema, priority));
        self.schema = schema;
        self
    }

    /// Tries locations in this order, where a line names none. All processes should agree.
    #[must_use]
    pub fn with_locations(mut self, priority: LocationPriority) -> Self {
        self.tables = Arc::new(Tables::new(&self.schema, priority));
        self
    }

    /// Waits this long.
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

    /// The same inventory inside the transaction that was begun on this connection, which has to
    /// be READ COMMITTED, the default. What it answers holds once the host commits.
    ///
    /// What can fail is done behind a savepoint, so that a refusal or a lost race leaves the
    /// host's transaction as it was. After [`TransactionLost`](crate::PostgresError) it may be
    /// lost as a whole. The locks on stock are held until the host ends the transaction: reserve
    /// late in it. Timeouts are the host's. There is no timer in here; call
    /// `Inventory::committed` after the commit.
    pub fn within<'c>(&self, connection: &'c mut PgConnection) -> PostgresInventory<Within<'c>> {
        PostgresInventory {
            tables: self.tables.clone(),
            schema: self.schema.clone(),
            sessions: Within(Mutex::new(connection)),
        }
    }

    /// Raises the epoch: for an operator, after a restore or a failover that lost its tail, so
    /// that versions which run backwards are not taken for old news. Every SKU is published again.
    ///
    /// It waits for calls that are under way, and for hosts' transactions with stock in them, as
    /// long as others wait for a lock; those that come meanwhile stand behind it. Then stock can't
    /// be changed for about a second for 100,000 levels.
    ///
    /// # Errors
    /// [`PostgresError::Locked`] where it waited in vain and nothing was changed: end the
    /// transaction that is in the way, and do it again. Others where the server can't be reached.
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

impl<S: Sessions> PostgresInventory<S> {
    /// Makes a call in a transaction: loads, decides, writes and commits. Makes it again where
    /// another call has added the same row first.
    async fn change<C: Call>(&self, call: &C) -> Result<C::Outcome, PostgresError> {
        const ATTEMPTS: usize = 3;
        let tables = self.tables.as_ref();
        let changing = async {
            let mut attempt = 1;
            loop {
                let mut transaction = self.sessions.begin(C::OPERATION).await?;
                let connection = transaction.connection();
                let outcome = async {
                    let (mut book, found) = call.load(tables, connection).await?;
                    let outcome = call.decide(&mut book, found);
                    write(C::OPERATION, tables, book.into_changes(), connection).await?;
                    Ok(outcome)
                };
                let outcome = outcome.await;
                match transaction.end(outcome).await {
                    Err(error) if error.is_lost() && attempt < ATTEMPTS => attempt += 1,
                    outcome => return outcome,
                }
            }
        };
        self.in_time(C::OPERATION, changing).await
    }

    /// The result of a call, unless it takes too long. The host's transaction has no limit here.
    async fn in_time<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, PostgresError>>,
    ) -> Result<T, PostgresError> {
        match self.sessions.pooled() {
            None => call.await,
            Some(pooled) => pooled.in_time(operation, call).await,
        }
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
