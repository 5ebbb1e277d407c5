//! Row changes of a catalogue, from a slot to readers.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use stockade_catalog_core::CatalogStore;
use stockade_change_feed::Feed;
use stockade_postgres::{PostgresCapture, PostgresCatalog, PostgresFeed};
use stockade_testkit::catalog::{CatalogHarness, ChangesHarness};
use stockade_testkit::{Absent, Harness};
use tokio::sync::oneshot;

use crate::harness::{OwnDatabase, url};

/// A catalogue, a log and a capture between them, in a database of their own.
struct Captured {
    catalog: Arc<PostgresCatalog>,
    feed: PostgresFeed,
    _stop: oneshot::Sender<()>,
    _database: OwnDatabase,
}

#[async_trait]
impl Harness for Captured {
    const BACKEND: &'static str = "postgres";

    async fn open() -> Result<Self, Absent> {
        let database = OwnDatabase::create(&url()?).await;
        let pool = database.pool().await;
        let catalog = PostgresCatalog::new(pool.clone());
        catalog.migrate().await.unwrap();
        let feed = PostgresFeed::new(pool);
        feed.migrate().await.unwrap();
        let capture = PostgresCapture::of_catalog(feed.clone(), &catalog).unwrap();
        let capture = capture.with_slot(database.name.as_str()).unwrap();
        // The slot, and a snapshot of nothing.
        while capture.run_once().await.unwrap() {}
        assert_eq!(capture.problems().await.unwrap(), Vec::<String>::new());
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(capture.run(async move {
            let _ = stopped.await;
        }));
        Ok(Self {
            catalog: Arc::new(catalog),
            feed,
            _stop: stop,
            _database: database,
        })
    }
}

impl CatalogHarness for Captured {
    fn store(&self) -> Arc<dyn CatalogStore> {
        self.catalog.clone()
    }
}

impl ChangesHarness for Captured {
    fn feed(&self) -> Arc<dyn Feed> {
        Arc::new(self.feed.clone())
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(20)
    }
}

stockade_testkit::catalog_changes_conformance!(changes, Captured);
