//! The tables of each component, in a schema of their own.

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
    /// What the change feed remembers.
    Feed,
}

impl Component {
    /// The schema that its tables are in unless another is named.
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

    /// The SQL of its migrations, by number, the first one in front.
    ///
    /// For who runs migrations with a tool of their own: create a schema, set the `search_path`
    /// to it, and run what is new in a transaction each. The text names no schema.
    #[must_use]
    pub fn sql(self) -> &'static [(i64, &'static str)] {
        match self {
            Self::Inventory => &[(1, include_str!("../migrations/inventory/1_stock.sql"))],
            Self::Catalog => &[(1, include_str!("../migrations/catalog/1_products.sql"))],
            Self::Feed => &[(1, include_str!("../migrations/feed/1_log.sql"))],
        }
    }
}

/// Brings the tables of a component up to date, creating the schema where it is missing.
///
/// All of it happens in one transaction under an advisory lock, so instances that start at once
/// wait for each other, and one that dies leaves nothing half done. What was run is remembered in
/// `stockade_migrations` in the same schema; nothing outside of the schema is touched. Migrations
/// that a newer version ran are left alone: old and new processes run side by side.
///
/// # Errors
/// Where the server can't be reached, where this user may not create, and where a migration
/// that was run before is not the one that is here.
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
