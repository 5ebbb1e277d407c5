//! What anybody would write: a count that is lowered where it suffices, and a row that says for
//! whom, in one statement.

use sqlx::PgPool;

/// Two tables and two statements.
#[derive(Clone)]
pub(super) struct Bare(PgPool);

impl Bare {
    pub(super) async fn create(pool: PgPool) -> sqlx::Result<Self> {
        let tables = "CREATE SCHEMA bare;
            CREATE TABLE bare.stock (
                sku TEXT PRIMARY KEY, available BIGINT NOT NULL CHECK (available >= 0)
            ) WITH (fillfactor = 50);
            CREATE TABLE bare.reservations (
                id TEXT PRIMARY KEY, sku TEXT NOT NULL, quantity BIGINT NOT NULL,
                deadline TIMESTAMPTZ NOT NULL
            )";
        sqlx::raw_sql(tables).execute(&pool).await?;
        Ok(Self(pool))
    }

    pub(super) async fn remove(&self) -> sqlx::Result<()> {
        let all = sqlx::raw_sql("DROP SCHEMA bare CASCADE");
        all.execute(&self.0).await.map(drop)
    }

    /// One unit, for 15 minutes.
    pub(super) async fn reserve(&self, sku: &str, id: &str) -> anyhow::Result<()> {
        let written = sqlx::query(
            "WITH taken AS (
                UPDATE bare.stock SET available = available - $3
                WHERE sku = $1 AND available >= $3
                RETURNING sku
            )
            INSERT INTO bare.reservations (id, sku, quantity, deadline)
            SELECT $2, sku, $3, clock_timestamp() + interval '15 minutes' FROM taken",
        )
        .bind(sku)
        .bind(id)
        .bind(1_i64)
        .execute(&self.0)
        .await?;
        anyhow::ensure!(written.rows_affected() == 1, "nothing is left of {sku}");
        Ok(())
    }

    pub(super) async fn set(&self, skus: &[String], count: u64) -> anyhow::Result<()> {
        sqlx::query(
            "INSERT INTO bare.stock (sku, available)
            SELECT sku, $2 FROM UNNEST($1::text[]) AS s (sku)
            ON CONFLICT (sku) DO UPDATE SET available = EXCLUDED.available",
        )
        .bind(skus)
        .bind(i64::try_from(count)?)
        .execute(&self.0)
        .await?;
        Ok(())
    }
}
