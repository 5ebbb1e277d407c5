//! Opens a separate index for each case.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use stockade_search_sync::{IndexWriter, SearchIndex};
use stockade_tantivy::{TantivyIndex, TantivyOptions};
use stockade_testkit::index::IndexHarness;
use stockade_testkit::search::SearchHarness;
use stockade_testkit::{Absent, Harness, Reopen};
use tempfile::TempDir;

pub(crate) fn options() -> TantivyOptions {
    TantivyOptions::default().with_refresh_interval(Duration::from_millis(20))
}

pub(crate) struct InMemory(TantivyIndex);

#[async_trait]
impl Harness for InMemory {
    const BACKEND: &'static str = "tantivy";

    async fn open() -> Result<Self, Absent> {
        Ok(Self(TantivyIndex::in_memory(options()).unwrap()))
    }
}

impl IndexHarness for InMemory {
    fn writer(&self) -> Arc<dyn IndexWriter> {
        Arc::new(self.0.clone())
    }
}

impl SearchHarness for InMemory {
    fn search(&self) -> Arc<dyn SearchIndex> {
        Arc::new(self.0.clone())
    }
}

pub(crate) struct InDirectory {
    index: TantivyIndex,
    directory: TempDir,
}

#[async_trait]
impl Harness for InDirectory {
    const BACKEND: &'static str = "tantivy";

    async fn open() -> Result<Self, Absent> {
        let directory = tempfile::tempdir().unwrap();
        let index = TantivyIndex::open(directory.path(), options())
            .await
            .unwrap();
        Ok(Self { index, directory })
    }
}

#[async_trait]
impl Reopen for InDirectory {
    async fn reopen(self) -> Self {
        let Self { index, directory } = self;
        drop(index);
        let index = TantivyIndex::open(directory.path(), options())
            .await
            .unwrap();
        Self { index, directory }
    }
}

impl IndexHarness for InDirectory {
    fn writer(&self) -> Arc<dyn IndexWriter> {
        Arc::new(self.index.clone())
    }
}

impl SearchHarness for InDirectory {
    fn search(&self) -> Arc<dyn SearchIndex> {
        Arc::new(self.index.clone())
    }
}
