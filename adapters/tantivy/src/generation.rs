//! One generation: a tantivy index that follows the stored documents.

use std::cmp::Reverse;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, TryLockError};
use std::time::{Duration, Instant};

use metrics::{counter, gauge, histogram};
use stockade_search_sync::{Generation, Projection, SearchError};
use tantivy::directory::{MmapDirectory, RamDirectory};
use tantivy::indexer::{IndexWriterOptions, LogMergePolicy};
use tantivy::schema::Schema;
use tantivy::{
    Directory, Index, IndexReader, IndexSettings, IndexWriter, ReloadPolicy, SegmentMeta, Term,
};
use tracing::{info, warn};

use crate::directory::{Counting, Written};
use crate::error::failed;
use crate::options::TantivyOptions;
use crate::schema::{FORMAT, Fields};
use crate::snapshot::Snapshot;
use crate::store::{Store, StoredGeneration};

/// Commits of the index.
pub const COMMITS: &str = "stockade_tantivy_commits_total";
/// How long it took the index to follow what was written, in seconds.
pub const REFRESH: &str = "stockade_tantivy_refresh_seconds";
/// Indexes that were built anew from the stored documents, because they were missing, damaged or
/// of another format.
pub const REBUILDS: &str = "stockade_tantivy_rebuilds_total";

/// How many segments a search reads, of the generation that was read last.
pub const SEGMENTS: &str = "stockade_tantivy_segments";

/// Stored views are compressed together up to so many bytes: to read one, all are decompressed.
const VIEWS_AT_ONCE: usize = 1_024;

/// So many segments of about one size are merged into one, which is half of tantivy's default: every
/// search reads all that there are.
const SEGMENTS_MERGED: usize = 4;

/// After so many refresh intervals without a write the index is quiet, and merges what is left.
const QUIET: u32 = 20;

/// Then segments that together have less than one in so many documents are merged into one of
/// their own, and others into one: so a document is written again only as often as others change.
const REST: u64 = 8;

/// More documents are not merged into one segment, for that would take minutes.
const MOST_IN_SEGMENT: u64 = 2_000_000;

/// Following takes at most one part of the time in so many.
const SHARE: u32 = 3;

/// One generation of the index.
pub(crate) struct Shelf {
    pub(crate) name: Generation,
    pub(crate) number: u64,
    pub(crate) projection: Projection,
    pub(crate) fields: Fields,
    index: Index,
    reader: IndexReader,
    snapshot: RwLock<Arc<Snapshot>>,
    /// How often the list of segments was written, and how often it had been when it was read.
    written: Written,
    read: AtomicU64,
    directory: Option<PathBuf>,
    options: TantivyOptions,
    /// Whether something may be stored that the index has not followed.
    changed: AtomicBool,
    /// Whether segments are merged as far as they are to be.
    settled: AtomicBool,
    follower: Mutex<Follower>,
}

/// Who writes the index.
#[derive(Default)]
struct Follower {
    writer: Option<IndexWriter>,
    not_before: Option<Instant>,
    /// If nothing is written until then.
    quiet_from: Option<Instant>,
    removed: bool,
}

impl Shelf {
    /// Opens the index in a directory or in memory, and builds it anew where that can't be done.
    pub(crate) fn open(
        stored: StoredGeneration,
        directory: Option<PathBuf>,
        options: TantivyOptions,
        store: &Store,
    ) -> Result<Self, SearchError> {
        let StoredGeneration {
            name,
            number,
            projection,
        } = stored;
        let (schema, fields) = Fields::new(&projection);
        let written = Written::default();
        let known = directory
            .as_ref()
            .and_then(|directory| known(directory, &schema, &written));
        let index = match (known, &directory) {
            (Some(index), _) => index,
            (None, None) => create(RamDirectory::create(), schema, &written)?,
            (None, Some(directory)) => {
                let failed = failed::<std::io::Error>("open");
                if directory.exists() {
                    counter!(REBUILDS).increment(1);
                    warn!(generation = %name, "the index is built anew from the stored documents");
                    std::fs::remove_dir_all(directory).map_err(&failed)?;
                }
                std::fs::create_dir_all(directory).map_err(&failed)?;
                store.follow_all(number)?;
                let files = MmapDirectory::open(directory).map_err(self::failed("open"))?;
                create(files, schema, &written)?
            }
        };
        let read = written.times();
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual);
        let reader: IndexReader = reader.try_into().map_err(failed("open"))?;
        let snapshot = Snapshot::new(reader.searcher(), &fields, &[])?;
        Ok(Self {
            changed: AtomicBool::new(store.is_changed(number)?),
            name,
            number,
            projection,
            fields,
            index,
            reader,
            snapshot: RwLock::new(Arc::new(snapshot)),
            written,
            read: AtomicU64::new(read),
            settled: AtomicBool::new(false),
            directory,
            options,
            follower: Mutex::default(),
        })
    }

    /// The newest state that was read.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        let snapshot = self.snapshot.read();
        snapshot.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Something was stored.
    pub(crate) fn has_changed(&self) {
        self.changed.store(true, Ordering::Release);
    }

    /// Lets the index follow what is stored, and reads what was committed and merged, if there is
    /// any and it is time to. What fails is tried again later: documents are safe, and only found
    /// late.
    pub(crate) fn refresh(&self, store: &Store) {
        if !self.changed.load(Ordering::Acquire)
            && self.is_read()
            && self.settled.load(Ordering::Acquire)
        {
            return;
        }
        let mut follower = match self.follower.try_lock() {
            Ok(follower) => follower,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // Somebody else does it.
            Err(TryLockError::WouldBlock) => return,
        };
        let started = Instant::now();
        if follower.removed || follower.not_before.is_some_and(|time| started < time) {
            return;
        }
        let quiet_from = follower.quiet_from.get_or_insert(started + self.quiet());
        let is_quiet = *quiet_from <= started;
        // Before reading: what is stored from now on is for the next time.
        if self.changed.swap(false, Ordering::AcqRel) {
            if let Err(error) = self.follow(&mut follower, store) {
                warn!(generation = %self.name, %error, "the index can not follow for now");
                follower.writer = None;
                self.has_changed();
            }
            follower.quiet_from = Some(Instant::now() + self.quiet());
            self.settled.store(false, Ordering::Release);
        } else if is_quiet {
            self.settled.store(true, Ordering::Release);
            if let Err(error) = self.settle(&mut follower) {
                warn!(generation = %self.name, %error, "segments stay unmerged for now");
            }
        } else if self.is_read() {
            return;
        }
        if let Err(error) = self.read() {
            warn!(generation = %self.name, %error, "the index can not be read for now");
        }
        let took = started.elapsed();
        histogram!(REFRESH).record(took.as_secs_f64());
        let pause = self.options.refresh_interval.max(took * (SHARE - 1));
        follower.not_before = Some(Instant::now() + pause.min(Duration::from_secs(60)));
    }

    /// Whether the segments are read as they are listed now.
    fn is_read(&self) -> bool {
        self.read.load(Ordering::Acquire) == self.written.times()
    }

    /// Reads the segments, if others are listed: by a commit, or by a merge that ended.
    fn read(&self) -> Result<(), SearchError> {
        if self.is_read() {
            return Ok(());
        }
        // Before reading: what is listed from now on is for the next time.
        let written = self.written.times();
        self.reader.reload().map_err(failed("refresh"))?;
        let before = self.snapshot();
        let searcher = self.reader.searcher();
        let snapshot = Arc::new(Snapshot::new(searcher, &self.fields, &before.segments)?);
        gauge!(SEGMENTS).set(snapshot.segments.len() as f64);
        *self
            .snapshot
            .write()
            .unwrap_or_else(PoisonError::into_inner) = snapshot;
        self.read.store(written, Ordering::Release);
        Ok(())
    }

    fn follow(&self, follower: &mut Follower, store: &Store) -> Result<(), SearchError> {
        let writer = self.writer(follower)?;
        let last = store.changes(self.number, |change| {
            writer.delete_term(Term::from_field_text(self.fields.key, &change.key));
            if let Some(view) = change.view {
                let document = self.fields.document(&change.key, &view, &self.projection)?;
                writer.add_document(document).map_err(failed("refresh"))?;
            }
            Ok(())
        })?;
        let Some(last) = last else {
            return Ok(());
        };
        let mut commit = writer.prepare_commit().map_err(failed("refresh"))?;
        commit.set_payload(FORMAT);
        commit.commit().map_err(failed("refresh"))?;
        counter!(COMMITS).increment(1);
        store.followed(self.number, last)
    }

    fn quiet(&self) -> Duration {
        self.options.refresh_interval * QUIET
    }

    /// Merges what the policy leaves apart, in the background. It is read when it is done.
    fn settle(&self, follower: &mut Follower) -> Result<(), SearchError> {
        let metas = self.index.searchable_segment_metas();
        let mut segments = metas.map_err(failed("merge"))?;
        segments.sort_unstable_by_key(|segment| Reverse(segment.num_docs()));
        let together = together(&segments.iter().map(size).collect::<Vec<_>>());
        let ids: Vec<_> = segments[together].iter().map(SegmentMeta::id).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let writer = self.writer(follower)?;
        // Nobody waits: what fails is logged there, and its segments stay as they are.
        drop(writer.merge(&ids));
        Ok(())
    }

    /// Opened when it is first needed.
    fn writer<'f>(&self, follower: &'f mut Follower) -> Result<&'f mut IndexWriter, SearchError> {
        Ok(match &mut follower.writer {
            Some(writer) => writer,
            none => none.insert(self.open_writer()?),
        })
    }

    fn open_writer(&self) -> Result<IndexWriter, SearchError> {
        let options = IndexWriterOptions::builder()
            .num_worker_threads(1)
            .num_merge_threads(1)
            .memory_budget_per_thread(self.options.writer_memory)
            .build();
        let writer = self.index.writer_with_options(options);
        let writer = writer.map_err(failed("refresh"))?;
        let mut merging = LogMergePolicy::default();
        merging.set_min_num_segments(SEGMENTS_MERGED);
        writer.set_merge_policy(Box::new(merging));
        Ok(writer)
    }

    /// Ends writing, and deletes the files. Who searches still may go on to the end.
    pub(crate) fn remove(&self) {
        let mut follower = self.follower();
        follower.removed = true;
        if let Some(writer) = follower.writer.take()
            && let Err(error) = writer.wait_merging_threads()
        {
            info!(generation = %self.name, %error, "a merge of a removed generation failed");
        }
        if let Some(directory) = &self.directory
            && let Err(error) = std::fs::remove_dir_all(directory)
        {
            warn!(directory = %directory.display(), %error, "left behind until the next start");
        }
    }

    fn follower(&self) -> MutexGuard<'_, Follower> {
        self.follower.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn size(segment: &SegmentMeta) -> u64 {
    u64::from(segment.num_docs())
}

/// Which segments become one, of such sizes, the largest first.
fn together(sizes: &[u64]) -> Range<usize> {
    let Some((largest, rest)) = sizes.split_first() else {
        return 0..0;
    };
    let rest = rest.iter().sum::<u64>();
    match rest * (REST - 1) >= *largest && largest + rest <= MOST_IN_SEGMENT {
        true if sizes.len() > 1 => 0..sizes.len(),
        _ if sizes.len() > 2 && rest <= MOST_IN_SEGMENT => 1..sizes.len(),
        _ => 0..0,
    }
}

/// The index in a directory, if it can be read and is of this format.
fn known(directory: &Path, schema: &Schema, written: &Written) -> Option<Index> {
    let files = MmapDirectory::open(directory).ok()?;
    let index = Index::open(Counting::new(files, written.clone())).ok()?;
    let metas = index.load_metas().ok()?;
    let is_known = metas.payload.as_deref() == Some(FORMAT) && index.schema() == *schema;
    is_known.then_some(index)
}

fn create(
    directory: impl Directory,
    schema: Schema,
    written: &Written,
) -> Result<Index, SearchError> {
    let settings = IndexSettings {
        docstore_blocksize: VIEWS_AT_ONCE,
        ..IndexSettings::default()
    };
    let directory = Counting::new(directory, written.clone());
    Index::create(directory, schema, settings).map_err(failed("open"))
}

#[cfg(test)]
mod tests;
