//! Postgres.

use anyhow::anyhow;
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::PgPool;
use stockade_postgres::{ServerSettings, connect};

use crate::readiness::Readiness;

/// Connects to the database of the option `--postgres`.
///
/// # Errors
/// If the database can't be reached, or a setting of the server would lose data. The error has no
/// secret.
pub async fn connect_postgres(url: &SecretString) -> anyhow::Result<PgPool> {
    let pool = connect(url.expose_secret())
        .await
        .map_err(|error| anyhow!("{error}; start it, or correct --postgres"))?;
    ServerSettings::read(&pool).await?;
    Ok(pool)
}

/// Adds a check: the service is ready while the database answers.
pub fn check_postgres(readiness: &Readiness, pool: &PgPool) {
    let pool = pool.clone();
    readiness.add_check("postgres", move || {
        let pool = pool.clone();
        async move { sqlx::query("SELECT 1").execute(&pool).await.map(drop) }
    });
}
