//! The suites over the index in memory, and over flawed ones.

mod flawed;
mod flaws;

use std::sync::Arc;

use async_trait::async_trait;
use stockade_search_sync::IndexWriter;
use stockade_search_sync::memory::MemoryIndex;
use stockade_testkit::index::IndexHarness;
use stockade_testkit::{Absent, Harness, Reopen};

/// The index in memory.
pub(crate) struct Memory {
    pub(crate) index: Arc<MemoryIndex>,
}

#[async_trait]
impl Harness for Memory {
    const BACKEND: &'static str = "memory";

    async fn open() -> Result<Self, Absent> {
        let index = Arc::new(MemoryIndex::new());
        Ok(Self { index })
    }
}

/// The process does not end, so nothing is lost: this tests the suite, not the index.
#[async_trait]
impl Reopen for Memory {
    async fn reopen(self) -> Self {
        self
    }
}

impl IndexHarness for Memory {
    fn writer(&self) -> Arc<dyn IndexWriter> {
        self.index.clone()
    }
}

stockade_testkit::index_writer_conformance!(memory, Memory);
stockade_testkit::index_concurrency_conformance!(memory_concurrency, Memory);
stockade_testkit::index_reopen_conformance!(memory_kept, Memory);
