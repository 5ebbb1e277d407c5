//! One generation: a tantivy index that is updated from the stored documents.

mod files;
mod merging;

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, TryLockError};
use std::time::Duration;

use metrics::{counter, gauge, histogram};
use stockade_search_sync::{Generation, Projection, SearchError};
use tantivy::{Index, IndexReader, IndexWriter, ReloadPolicy, Term};
use tracing::{info, warn};

use self::merging::{QUIET, to_merge};
use crate::directory::ListVersion;
use crate::error::failed;
use crate::options::TantivyOptions;
use crate::schema::{FORMAT, Fields};
use crate::snapshot::Snapshot;
use crate::store::{Store, StoredGeneration};

/// Commits of the index.
pub const COMMITS: &str = "stockade_tantivy_commits_total";
/// Duration of an update of the index, in seconds.
pub const REFRESH: &str = "stockade_tantivy_refresh_seconds";
/// Indexes that were rebuilt from the stored documents, because they were missing, damaged or of
/// another format.
pub const REBUILDS: &str = "stockade_tantivy_rebuilds_total";
/// How many segments a search reads, in the generation that was opened last.
pub const SEGMENTS: &str = "stockade_tantivy_segments";

/// Updating the index takes at most one third of the time.
const SHARE: u32 = 3;
/// The longest pause between two updates.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The tantivy index of one generation.
pub(crate) struct GenerationIndex {
    pub(crate) name: Generation,
    pub(crate) number: u64,
    pub(crate) projection: Projection,
    pub(crate) fields: Fields,
    index: Index,
    reader: IndexReader,
    snapshot: RwLock<Arc<Snapshot>>,
    /// The version of the list of segments.
    listed: ListVersion,
    /// The version that the snapshot was read at.
    read: AtomicU64,
    directory: Option<PathBuf>,
    options: TantivyOptions,
    /// Whether the store may have pending changes.
    changed: AtomicBool,
    /// Whether the segments of the quiet index were merged.
    merged: AtomicBool,
    update: Mutex<Update>,
}

/// The state for updating the index, used by one thread at a time. Times are of the monotonic
/// clock.
#[derive(Default)]
struct Update {
    writer: Option<IndexWriter>,
    not_before: Option<Duration>,
    /// When the index becomes quiet, unless there is a write before.
    quiet_from: Option<Duration>,
    removed: bool,
}

impl GenerationIndex {
    /// Opens the index in a directory or in memory, and rebuilds it if it can't be opened.
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
        let listed = ListVersion::default();
        let index = match &directory {
            None => files::in_memory(schema, &listed)?,
            Some(directory) => match files::open(directory, &schema, &listed) {
                Some(index) => index,
                None => {
                    if directory.exists() {
                        counter!(REBUILDS).increment(1);
                        warn!(generation = %name, "rebuilding the index from the stored documents");
                    }
                    store.add_all_changes(number)?;
                    files::create(directory, schema, &listed)?
                }
            },
        };
        let read = listed.get();
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual);
        let reader: IndexReader = reader.try_into().map_err(failed("open"))?;
        let snapshot = Snapshot::new(reader.searcher(), &fields, &[])?;
        Ok(Self {
            changed: AtomicBool::new(store.has_pending_changes(number)?),
            name,
            number,
            projection,
            fields,
            index,
            reader,
            snapshot: RwLock::new(Arc::new(snapshot)),
            listed,
            read: AtomicU64::new(read),
            merged: AtomicBool::new(false),
            directory,
            options,
            update: Mutex::default(),
        })
    }

    /// The newest state that was read.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        let snapshot = self.snapshot.read();
        snapshot.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Records that the store has pending changes.
    pub(crate) fn set_changed(&self) {
        self.changed.store(true, Ordering::Release);
    }

    /// Applies pending changes, and reads segments that were committed or merged, if the refresh
    /// interval allows it. After a failure this is tried again later: the documents are stored, and
    /// searches find them later.
    pub(crate) fn refresh(&self, store: &Store) {
        if !self.changed.load(Ordering::Acquire)
            && self.is_read()
            && self.merged.load(Ordering::Acquire)
        {
            return;
        }
        let mut update = match self.update.try_lock() {
            Ok(update) => update,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            // Another thread does it.
            Err(TryLockError::WouldBlock) => return,
        };
        let clock = &self.options.clock;
        let started = clock.monotonic();
        if update.removed || update.not_before.is_some_and(|time| started < time) {
            return;
        }
        let quiet_after = self.options.refresh_interval * QUIET;
        let is_quiet = *update.quiet_from.get_or_insert(started + quiet_after) <= started;
        // Cleared before reading: a later write sets it again.
        if self.changed.swap(false, Ordering::AcqRel) {
            if let Err(error) = self.apply_changes(&mut update, store) {
                warn!(generation = %self.name, %error, "index update failed; it is repeated");
                update.writer = None;
                self.set_changed();
            }
            update.quiet_from = Some(clock.monotonic() + quiet_after);
            self.merged.store(false, Ordering::Release);
        } else if is_quiet {
            self.merged.store(true, Ordering::Release);
            if let Err(error) = self.merge_segments(&mut update) {
                warn!(generation = %self.name, %error, "segment merge failed; it is repeated");
            }
        } else if self.is_read() {
            return;
        }
        if let Err(error) = self.read() {
            warn!(generation = %self.name, %error, "reading the index failed; it is repeated");
        }
        let ended = clock.monotonic();
        let took = ended.saturating_sub(started);
        histogram!(REFRESH).record(took.as_secs_f64());
        let pause = self.options.refresh_interval.max(took * (SHARE - 1));
        update.not_before = Some(ended + pause.min(LONGEST_PAUSE));
    }

    /// Whether the snapshot has the segments of the current list.
    fn is_read(&self) -> bool {
        self.read.load(Ordering::Acquire) == self.listed.get()
    }

    /// Reads the segments, if a commit or a finished merge has changed the list.
    fn read(&self) -> Result<(), SearchError> {
        if self.is_read() {
            return Ok(());
        }
        // Taken before reading: a later list has a higher version.
        let listed = self.listed.get();
        self.reader.reload().map_err(failed("refresh"))?;
        let before = self.snapshot();
        let searcher = self.reader.searcher();
        let snapshot = Arc::new(Snapshot::new(searcher, &self.fields, &before.segments)?);
        gauge!(SEGMENTS).set(snapshot.segments.len() as f64);
        *self
            .snapshot
            .write()
            .unwrap_or_else(PoisonError::into_inner) = snapshot;
        self.read.store(listed, Ordering::Release);
        Ok(())
    }

    fn apply_changes(&self, update: &mut Update, store: &Store) -> Result<(), SearchError> {
        let writer = self.writer(update)?;
        let last = store.pending_changes(self.number, |change| {
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
        store.remove_changes(self.number, last)
    }

    /// Starts merging segments in the background. The result is read when it is finished.
    fn merge_segments(&self, update: &mut Update) -> Result<(), SearchError> {
        let segments = self.index.searchable_segment_metas();
        let segments = to_merge(segments.map_err(failed("merge"))?);
        if !segments.is_empty() {
            let writer = self.writer(update)?;
            // Nobody waits for it. If it fails, tantivy logs the error and keeps the segments.
            drop(writer.merge(&segments));
        }
        Ok(())
    }

    /// The writer, which is opened when it is first needed.
    fn writer<'u>(&self, update: &'u mut Update) -> Result<&'u mut IndexWriter, SearchError> {
        Ok(match &mut update.writer {
            Some(writer) => writer,
            none => none.insert(files::writer(&self.index, self.options.writer_memory)?),
        })
    }

    /// Ends writing, and deletes the files. Running searches are not affected.
    pub(crate) fn remove(&self) {
        let mut update = self.update();
        update.removed = true;
        if let Some(writer) = update.writer.take()
            && let Err(error) = writer.wait_merging_threads()
        {
            info!(generation = %self.name, %error, "a merge of a removed generation failed");
        }
        if let Some(directory) = &self.directory
            && let Err(error) = std::fs::remove_dir_all(directory)
        {
            warn!(directory = %directory.display(), %error, "files are left; the next start deletes them");
        }
    }

    fn update(&self) -> MutexGuard<'_, Update> {
        self.update.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
