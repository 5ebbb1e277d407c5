//! The search index: which one, and its generation.

use std::sync::Arc;

use anyhow::Context as _;
use stockade_search_sync::memory::MemoryIndex;
use stockade_search_sync::{Generation, IndexWriter, Projection, SearchIndex};

use super::storage::Lifetime;

/// An index with a generation that is searched.
pub(super) struct Search {
    pub(super) writer: Arc<dyn IndexWriter>,
    pub(super) reader: Arc<dyn SearchIndex>,
    pub(super) generation: Generation,
    pub(super) projection: Projection,
}

impl Search {
    /// Opens the index, and makes its generation the one that is searched.
    pub(super) async fn open(_lifetime: Lifetime) -> anyhow::Result<Self> {
        let index = Arc::new(MemoryIndex::new());
        let generation = Generation::new("products-1")?;
        let projection = Projection::catalog();
        index
            .create(&generation, &projection)
            .await
            .context("the search index")?;
        index
            .activate(&generation)
            .await
            .context("the search index")?;
        Ok(Self {
            writer: index.clone(),
            reader: index,
            generation,
            projection,
        })
    }
}
