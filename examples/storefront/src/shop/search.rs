//! The search index and its active generation.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use stockade_search_sync::{Generation, GenerationState, IndexWriter as _, Projection};
use stockade_tantivy::{TantivyIndex, TantivyOptions};
use uuid::Uuid;

use super::storage::Capture;

/// The size in bytes of the cache of documents that are in memory anyway.
const MEMORY_CACHE: usize = 4 << 20;

/// An index with an active generation.
pub(crate) struct Search {
    pub(crate) index: Arc<TantivyIndex>,
    pub(crate) generation: Generation,
    pub(crate) projection: Projection,
}

impl Search {
    /// Opens the index in a directory, or creates one in memory.
    ///
    /// A catalogue in memory always gets a new generation, because the documents that an earlier
    /// process left in the directory belong to products that no longer exist. A catalogue in a
    /// database, which is captured, keeps its generation; if there is none, a new one is filled from
    /// a snapshot of all rows.
    pub(crate) async fn open(
        directory: Option<&Path>,
        catalogue: Option<&Capture>,
    ) -> anyhow::Result<Self> {
        let options = TantivyOptions::default();
        let index = match directory {
            // The cache would be a second copy in memory.
            None => TantivyIndex::in_memory(options.with_cache_memory(MEMORY_CACHE))
                .context("the search index")?,
            Some(directory) => TantivyIndex::open(directory, options)
                .await
                .with_context(|| {
                    let directory = directory.display();
                    format!(
                        "can't open the search index in {directory}; choose another --search-dir"
                    )
                })?,
        };
        let mut generations = index.generations().await?.into_iter();
        let active = generations.find(|(_, state)| *state == GenerationState::Active);
        let generation = match (catalogue, active) {
            (Some(_), Some((generation, _))) => generation,
            (Some(capture), None) => {
                // Before the generation exists: an existing one is not filled again.
                capture.snapshot_again().await?;
                new_generation()?
            }
            (None, _) => new_generation()?,
        };
        let search = Self {
            index: Arc::new(index),
            generation,
            projection: Projection::catalog(),
        };
        search.begin().await.context("the search index")?;
        Ok(search)
    }

    /// Activates the generation, and removes earlier ones.
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

fn new_generation() -> anyhow::Result<Generation> {
    Ok(Generation::new(format!(
        "products-{}",
        Uuid::new_v4().simple()
    ))?)
}
