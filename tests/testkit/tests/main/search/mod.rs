//! The search suite over the index in memory.

mod golden;

use std::sync::Arc;

use stockade_search_sync::SearchIndex;
use stockade_testkit::search::SearchHarness;

use crate::index::Memory;

impl SearchHarness for Memory {
    fn search(&self) -> Arc<dyn SearchIndex> {
        self.index.clone()
    }
}

stockade_testkit::search_index_conformance!(memory, Memory);
