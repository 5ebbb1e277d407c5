//! The tables of each component, each in its own schema.

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{Connection, PgPool, SqlSafeStr};

use crate::error::{PostgresError, committing, failed};
use crate::names::Schema;

/// A part of the adapter that has tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Component {
    /// Stock and reservations.
    Inventory,
    /// Products and their types.
    Catalog,
    /// The log of the change feed.
    Feed,
}

impl Component {
    /// The default schema of its tables.
    #[must_use]
    pub fn schema(self) -> Schema {
        let name = match self {
            Self::Inventory => "inventory",
            // As `stockade_catalog_core::rows::SCHEMA`, which readers of the rows know.
            Self::Catalog => "catalog",
            Self::Feed => "feed",
        };
        Schema::known(name)
    }

    /// The SQL of its migrations, with their numbers, in order.
    ///
    /// For hosts that run migrations with their own tool: create a schema, set the `search_path` to
    /// it, and run each new migration in its own transaction. The SQL names no schema.
    #[must_use]
    pub fn sql(self) -> &'static [(i64, &'static str)] {
        match self {
            Self::Inventory => &[
                (1, include_str!("../migrations/inventory/1_stock.sql")),
                (2, include_str!("../migrations/inventory/2_trace.sql")),
            ],
            Self::Catalog => &[
                (1, include_str!("../migrations/catalog/1_products.sql")),
                (2, include_str!("../migrations/catalog/2_truncations.sql")),
            ],
            Self::Feed => &[(1, include_str!("../migrations/feed/1_log.sql"))],
        }
    }
}

/// Brings the tables of a component up to date. Creates the schema if it is missing.
///
/// This is one transaction under an advisory lock. So instances that start at the same time wait
/// for each other, and a crash leaves nothing half done. The migrations that were run are stored in
/// `stockade_migrations` in the same schema; nothing outside of the schema is changed. Migrations
/// of a newer version are ignored, so old and new processes can run together.
///
/// # Errors
/// When the server can not be reached, when this user may not create tables, and when a migration
/// that was run before differs from the one of this version.
pub async fn migrate(
    pool: &PgPool,
    component: Component,
    schema: &Schema,
) -> Result<(), PostgresError> {
    const OPERATION: &str = "migrate";
    let failed = failed(OPERATION);
    let mut connection = pool.acquire().await.map_err(failed)?;
    // Not to be used again if this is given up half way.
    connection.close_on_drop();
    let mut transaction = connection.begin().await.map_err(failed)?;
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('stockade migrate ' || $1, 0))")
        .bind(schema.as_str())
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
    // Also where the schema is there, creating it would take the right to.
    let found: bool = sqlx::query_scalar("SELECT to_regnamespace($1) IS NOT NULL")
        .bind(schema.as_str())
        .fetch_one(&mut *transaction)
        .await
        .map_err(failed)?;
    if !found {
        sqlx::raw_sql(schema.sql("CREATE SCHEMA {schema}"))
            .execute(&mut *transaction)
            .await
            .map_err(failed)?;
    }
    sqlx::raw_sql(schema.sql("SET LOCAL search_path TO {schema}"))
        .execute(&mut *transaction)
        .await
        .map_err(failed)?;
    // The lock is held already, and this one would outlive a call that is given up.
    migrator(component)
        .set_locking(false)
        .run_direct(None, &mut *transaction, false)
        .await
        .map_err(|error| failed(error.into()))?;
    transaction.commit().await.map_err(committing(OPERATION))
}

fn migrator(component: Component) -> Migrator {
    let migrations = component.sql().iter().map(|(number, sql)| {
        let (kind, in_transaction) = (MigrationType::Simple, false);
        Migration::new(*number, "".into(), kind, sql.into_sql_str(), in_transaction)
    });
    let mut migrator = Migrator::with_migrations(migrations.collect());
    migrator.dangerous_set_table_name("stockade_migrations");
    migrator.set_ignore_missing(true);
    migrator
}
