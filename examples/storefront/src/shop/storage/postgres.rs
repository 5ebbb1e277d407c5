//! Everything in Postgres. Rows reach search through a replication slot.

use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use sqlx::PgPool;
use stockade_catalog_core::rows::catalog_changes;
use stockade_inventory_core::inventory_updates;
use stockade_postgres::{
    PostgresCapture, PostgresCatalog, PostgresFeed, PostgresInventory, ServerSettings, connect,
};

use super::Storage;

/// How long records are kept for consumers that fall behind.
const KEPT: Duration = Duration::from_secs(24 * 3600);
/// A consumer that is silent for this long, as after a crash, loses its partitions.
const SILENT: Duration = Duration::from_secs(10);
/// Time between two passes that delete old records.
const TRIMMED_EVERY: Duration = Duration::from_secs(600);

/// Copies rows from the write-ahead log into the feed, and deletes old records of the feed.
pub(crate) struct Capture {
    pub(crate) feed: PostgresFeed,
    capture: PostgresCapture,
}

impl Storage {
    /// Opens the database, and migrates its tables.
    pub(in super::super) async fn postgres(url: &str) -> anyhow::Result<Self> {
        let pool = open(url).await?;
        let inventory = Arc::new(PostgresInventory::new(pool.clone()));
        let catalog = Arc::new(PostgresCatalog::new(pool.clone()));
        inventory.migrate().await?;
        catalog.migrate().await?;
        let capture = Capture::open(pool, &catalog).await?;
        Ok(Self {
            catalog,
            outbox: inventory.clone(),
            retention: inventory.clone(),
            inventory,
            publisher: Arc::new(capture.feed.clone()),
            feed: Arc::new(capture.feed.clone()),
            capture: Some(capture),
        })
    }
}

async fn open(url: &str) -> anyhow::Result<PgPool> {
    let pool = connect(url)
        .await
        .map_err(|error| anyhow!("{error}; start it, or correct --postgres"))?;
    ServerSettings::read(&pool).await?;
    Ok(pool)
}

impl Capture {
    /// The rows of a catalogue that another process keeps in this database.
    pub(crate) async fn open_database(url: &str) -> anyhow::Result<Self> {
        let pool = open(url).await?;
        Self::open(pool.clone(), &PostgresCatalog::new(pool)).await
    }

    async fn open(pool: PgPool, catalog: &PostgresCatalog) -> anyhow::Result<Self> {
        // All databases of a server share one namespace of slots.
        let database: String = sqlx::query_scalar("SELECT current_database()")
            .fetch_one(&pool)
            .await?;
        let feed = PostgresFeed::new(pool).with_session_timeout(SILENT);
        feed.migrate().await?;
        let capture = PostgresCapture::of_catalog(feed.clone(), catalog)?
            .with_slot(format!("storefront_{database}"))?;
        let problems = capture.problems().await?;
        anyhow::ensure!(
            problems.is_empty(),
            "search can't follow the catalogue: {}",
            problems.join("; ")
        );
        Ok(Self { feed, capture })
    }

    /// Publishes all rows once more, for an index that is empty.
    pub(crate) async fn snapshot_again(&self) -> anyhow::Result<()> {
        Ok(self.capture.snapshot_again().await?)
    }

    /// Captures until `stop` ends.
    pub(crate) async fn run(self, stop: impl Future<Output = ()> + Send) {
        let Self { feed, capture } = self;
        let trimming = async {
            loop {
                for topic in [catalog_changes(), inventory_updates()] {
                    if let Err(error) = feed.trim_older(&topic, KEPT).await {
                        tracing::warn!(%topic, %error, "old records could not be deleted");
                    }
                }
                tokio::time::sleep(TRIMMED_EVERY).await;
            }
        };
        tokio::select! {
            () = capture.run(stop) => {}
            () = trimming => {}
        }
    }
}
