//! Opens and creates the files of a tantivy index.

use std::path::Path;

use stockade_search_sync::SearchError;
use tantivy::directory::{MmapDirectory, RamDirectory};
use tantivy::indexer::{IndexWriterOptions, LogMergePolicy};
use tantivy::schema::Schema;
use tantivy::{Directory, Index, IndexSettings, IndexWriter};

use super::merging::SEGMENTS_MERGED;
use crate::directory::{ListVersion, VersionedDirectory};
use crate::error::failed;
use crate::schema::FORMAT;

/// Stored views are compressed in blocks of about this many bytes. Reading one view decompresses
/// its block.
const VIEW_BLOCK: usize = 1_024;

/// The index in a directory, if it can be read and has the current format.
pub(super) fn open(directory: &Path, schema: &Schema, listed: &ListVersion) -> Option<Index> {
    let files = MmapDirectory::open(directory).ok()?;
    let index = Index::open(VersionedDirectory::new(files, listed.clone())).ok()?;
    let metas = index.load_metas().ok()?;
    let is_current = metas.payload.as_deref() == Some(FORMAT) && index.schema() == *schema;
    is_current.then_some(index)
}

/// An empty index in a directory. Everything in the directory is deleted.
pub(super) fn create(
    directory: &Path,
    schema: Schema,
    listed: &ListVersion,
) -> Result<Index, SearchError> {
    let failed = failed::<std::io::Error>("open");
    if directory.exists() {
        std::fs::remove_dir_all(directory).map_err(&failed)?;
    }
    std::fs::create_dir_all(directory).map_err(&failed)?;
    let files = MmapDirectory::open(directory).map_err(crate::error::failed("open"))?;
    create_in(files, schema, listed)
}

/// An empty index in memory.
pub(super) fn in_memory(schema: Schema, listed: &ListVersion) -> Result<Index, SearchError> {
    create_in(RamDirectory::create(), schema, listed)
}

fn create_in(
    directory: impl Directory,
    schema: Schema,
    listed: &ListVersion,
) -> Result<Index, SearchError> {
    let settings = IndexSettings {
        docstore_blocksize: VIEW_BLOCK,
        ..IndexSettings::default()
    };
    let directory = VersionedDirectory::new(directory, listed.clone());
    Index::create(directory, schema, settings).map_err(failed("open"))
}

/// A writer with one indexing thread and one merging thread.
pub(super) fn writer(index: &Index, memory: usize) -> Result<IndexWriter, SearchError> {
    let options = IndexWriterOptions::builder()
        .num_worker_threads(1)
        .num_merge_threads(1)
        .memory_budget_per_thread(memory)
        .build();
    let writer = index.writer_with_options(options);
    let writer = writer.map_err(failed("refresh"))?;
    let mut merging = LogMergePolicy::default();
    merging.set_min_num_segments(SEGMENTS_MERGED);
    writer.set_merge_policy(Box::new(merging));
    Ok(writer)
}
