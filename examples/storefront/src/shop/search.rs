//! The search index, and which of its generations is searched.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use stockade_search_sync::{Generation, IndexWriter as _, Projection};
use stockade_tantivy::{TantivyIndex, TantivyOptions};
use uuid::Uuid;

use super::storage::Lifetime;

/// The cache of documents that are in memory anyway.
const MEMORY_CACHE: usize = 4 << 20;

/// An index with a generation that is searched.
pub(super) struct Search {
    pub(super) index: Arc<TantivyIndex>,
    pub(super) generation: Generation,
    pub(super) projection: Projection,
}

impl Search {
    /// Opens the index in a directory, or makes one in memory.
    ///
    /// A catalogue that ends with the process gets a generation that ends with it: what an
    /// earlier process left in the directory is of products that are gone.
    pub(super) async fn open(
        directory: Option<&Path>,
        catalogue: Lifetime,
    ) -> anyhow::Result<Self> {
        let options = TantivyOptions::default();
        let index = match directory {
            // A cache of memory would be a second copy.
            None => TantivyIndex::in_memory(options.with_cache_memory(MEMORY_CACHE))
                .context("the search index")?,
            Some(directory) => TantivyIndex::open(directory, options)
                .await
                .with_context(|| format!("the search index in {}", directory.display()))?,
        };
        let name = match catalogue {
            Lifetime::Process => format!("products-{}", Uuid::new_v4().simple()),
        };
        let search = Self {
            index: Arc::new(index),
            generation: Generation::new(name)?,
            projection: Projection::catalog(),
        };
        search.begin().await.context("the search index")?;
        Ok(search)
    }

    /// Makes the generation the one that is searched, and removes what came before it.
    async fn begin(&self) -> anyhow::Result<()> {
        let Self {
            index, generation, ..
        } = self;
        index.create(generation, &self.projection).await?;
        index.activate(generation).await?;
        for (earlier, _) in index.generations().await? {
            if earlier != *generation {
                index.remove(&earlier).await?;
            }
        }
        Ok(())
    }
}
