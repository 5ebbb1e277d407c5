//! Everything in Postgres. Search hears of rows through a replication slot.

use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use stockade_catalog_core::rows::catalog_changes;
use stockade_inventory_core::inventory_updates;
use stockade_postgres::{
    PostgresCapture, PostgresCatalog, PostgresFeed, PostgresInventory, ServerSettings, connect,
};

use super::{Lifetime, Storage};

/// How long records are kept for readers that fall behind.
const KEPT: Duration = Duration::from_secs(24 * 3600);
/// After how long without a word the readers of a shop that crashed are taken for gone.
const SILENT: Duration = Duration::from_secs(10);
const TRIMMED_EVERY: Duration = Duration::from_secs(600);

/// What carries rows from the write-ahead log into the feed, and keeps the feed short.
pub(in super::super) struct Capture {
    feed: PostgresFeed,
    capture: PostgresCapture,
}

impl Storage {
    /// Opens the database, and brings its tables up to date.
    pub(in super::super) async fn postgres(url: &str) -> anyhow::Result<Self> {
        let pool = connect(url)
            .await
            .map_err(|error| anyhow!("{error}; start it, or correct --postgres"))?;
        ServerSettings::read(&pool).await?;
        let inventory = Arc::new(PostgresInventory::new(pool.clone()));
        let catalog = Arc::new(PostgresCatalog::new(pool.clone()));
        inventory.migrate().await?;
        catalog.migrate().await?;
        // The slots of a server's databases share their names.
        let database: String = sqlx::query_scalar("SELECT current_database()")
            .fetch_one(&pool)
            .await?;
        let feed = PostgresFeed::new(pool).with_session_timeout(SILENT);
        feed.migrate().await?;
        let capture = PostgresCapture::of_catalog(feed.clone(), &catalog)?
            .with_slot(format!("storefront_{database}"))?;
        let problems = capture.problems().await?;
        anyhow::ensure!(
            problems.is_empty(),
            "search can't follow: {}",
            problems.join("; ")
        );
        let capture = Capture {
            feed: feed.clone(),
            capture,
        };
        Ok(Self {
            catalog,
            outbox: inventory.clone(),
            retention: inventory.clone(),
            inventory,
            publisher: Arc::new(feed.clone()),
            feed: Arc::new(feed),
            lifetime: Lifetime::Beyond(Box::new(capture)),
        })
    }
}

impl Capture {
    /// Has all rows told once more, to an index that begins with nothing.
    pub(in super::super) async fn snapshot_again(&self) -> anyhow::Result<()> {
        Ok(self.capture.snapshot_again().await?)
    }

    /// Captures until `stop` ends.
    pub(in super::super) async fn run(self, stop: impl Future<Output = ()> + Send) {
        let Self { feed, capture } = self;
        let trimming = async {
            loop {
                for topic in [catalog_changes(), inventory_updates()] {
                    if let Err(error) = feed.trim_older(&topic, KEPT).await {
                        tracing::warn!(%topic, %error, "old records are still there");
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
