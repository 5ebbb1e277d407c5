//! Loads documents, merges changes into them and writes them, again if another writer was faster.

use std::collections::BTreeMap;
use std::time::Duration;

use metrics::counter;
use stockade_change_feed::Retry;
use stockade_change_feed::time::{Backoff, Deadline, one_for_each};
use tracing::warn;

use super::Ingest;
use super::job::{Chunk, Documents, Edits, Job, LONGEST_PAUSE, RecordEdit, Refused};
use super::telemetry::{CONFLICTS, CUT, STALE_EPOCHS, WRITTEN};
use crate::document::{Document, DocumentId, Merged, RowVersion};
use crate::error::SearchError;
use crate::index::{DocumentWrite, Loaded};
use crate::projection::{stock, truncation};

/// How often a document is tried within one call.
const ATTEMPTS: u32 = 8;
/// The pause after a conflict with another writer.
const AFTER_CONFLICT: Backoff = Backoff::new(Duration::from_millis(5), Duration::from_millis(40));

impl Ingest {
    /// Merges changes into documents until they are durable, and returns the documents of SKUs as
    /// they are then. Records for which this fails are marked in the job.
    pub(super) async fn settle(&self, edits: Edits, job: &mut Job) -> Documents {
        let mut skus = Documents::new();
        let mut edits = edits.into_iter();
        loop {
            let chunk: Edits = edits.by_ref().take(self.bulk.get()).collect();
            if chunk.is_empty() {
                return skus;
            }
            for refused in self.settle_chunk(chunk, job, &mut skus).await {
                self.settle_each_record(refused, job, &mut skus).await;
            }
        }
    }

    /// Merges one record after the other into a document that can't take all of them together, to
    /// find the record that it can't take.
    async fn settle_each_record(&self, refused: Refused, job: &mut Job, skus: &mut Documents) {
        let Refused { id, edits, reason } = refused;
        let mut by_record: BTreeMap<usize, Vec<RecordEdit>> = BTreeMap::new();
        for (record, edit) in edits {
            by_record.entry(record).or_default().push((record, edit));
        }
        if let (1, Some(record)) = (by_record.len(), by_record.keys().next()) {
            return job.dead_letter(*record, reason);
        }
        for (record, edits) in by_record {
            let alone = Edits::from([(id.clone(), edits)]);
            for refused in self.settle_chunk(alone, job, skus).await {
                job.dead_letter(record, refused.reason);
            }
        }
    }

    /// Settles documents together, and returns those that can't take all their changes.
    async fn settle_chunk(
        &self,
        pending: Edits,
        job: &mut Job,
        skus: &mut Documents,
    ) -> Vec<Refused> {
        let mut chunk = Chunk::new(pending);
        for attempt in 1..=ATTEMPTS {
            if job.gives_up(&chunk.pending) {
                return chunk.refused;
            }
            if let Err(error) = self.attempt(&mut chunk, attempt, skus).await {
                job.unavailable(error.to_string(), pause_after(&error));
                continue;
            }
            chunk.postpone(job, |pause| pause > LONGEST_PAUSE);
            if chunk.pending.is_empty() {
                return chunk.refused;
            }
            if attempt < ATTEMPTS {
                self.clock.sleep(chunk.pause()).await;
            }
        }
        if !job.gives_up(&chunk.pending) {
            chunk.postpone(job, |_| true);
        }
        chunk.refused
    }

    /// Loads, merges and writes what is pending once. Documents that stay pending must be tried
    /// again.
    async fn attempt(
        &self,
        chunk: &mut Chunk,
        attempt: u32,
        skus: &mut Documents,
    ) -> Result<(), SearchError> {
        chunk.waits.clear();
        let mut writes = Vec::new();
        let truncated = self.truncated(&chunk.pending).await?;
        let ids: Vec<_> = chunk.pending.keys().cloned().collect();
        for (id, loaded) in ids.iter().zip(self.load(&ids).await?) {
            match loaded {
                Ok(loaded) => writes.extend(self.merge(loaded, &truncated, chunk, skus)),
                Err(error @ SearchError::Damaged { .. }) => chunk.refuse(id, error.to_string()),
                Err(error) => chunk.wait(id.clone(), error.to_string(), pause_after(&error)),
            }
        }
        if writes.is_empty() {
            return Ok(());
        }
        let written: Vec<_> = writes.iter().map(Written::of).collect();
        let deadline = Deadline::after(self.clock.as_ref(), "write", self.timeout);
        let outcomes = deadline
            .bound(self.writer.write(&self.generation, writes))
            .await?;
        let outcomes = one_for_each("write", written.len(), outcomes)?;
        for (
            Written {
                document,
                rows,
                deleted,
            },
            outcome,
        ) in written.into_iter().zip(outcomes)
        {
            match outcome {
                Ok(()) => {
                    counter!(WRITTEN).increment(1);
                    let is_root = matches!(document.id, DocumentId::Root(_));
                    // Root documents that apply truncations stay pending until they are loaded
                    // without a change: a truncation whose scan missed the document is seen then.
                    if !(is_root && self.applies_truncations()) {
                        chunk.settle(document, skus);
                    }
                }
                Err(SearchError::Conflict { .. }) => {
                    counter!(CONFLICTS).increment(1);
                    let reason = "other writers keep changing it";
                    let pause = AFTER_CONFLICT.after(attempt);
                    chunk.wait(document.id, reason.to_owned(), pause);
                }
                Err(error @ SearchError::Refused { .. }) => {
                    let reason = format!("{error} ({rows} rows, {deleted} of them deleted)");
                    chunk.refuse(&document.id, reason);
                }
                Err(error) => {
                    chunk.wait(document.id, error.to_string(), pause_after(&error));
                }
            }
        }
        Ok(())
    }

    /// Merges the pending changes of a document into it. Returns what must be written, if anything
    /// has changed.
    fn merge(
        &self,
        loaded: Loaded,
        truncated: &BTreeMap<String, RowVersion>,
        chunk: &mut Chunk,
        skus: &mut Documents,
    ) -> Option<DocumentWrite> {
        let Loaded {
            mut document,
            revision,
        } = loaded;
        let mut merged = Merged::Unchanged;
        for (_, edit) in chunk.pending.get(&document.id).into_iter().flatten() {
            if edit.document != document.id {
                // This document only applies the truncation that the edit records elsewhere.
                continue;
            }
            if stock::is_of_older_epoch(&document, edit) {
                counter!(STALE_EPOCHS).increment(1);
                let sku = &edit.key.key;
                warn!(%sku, "stock event of an older epoch ignored; find its publisher");
            }
            merged = merged.or(self.projection.merge(&mut document, edit));
        }
        if matches!(document.id, DocumentId::Root(_)) {
            merged = merged.or(self.projection.truncate(&mut document, truncated));
        }
        if merged == Merged::Unchanged {
            chunk.settle(document, skus);
            return None;
        }
        match self.projection.view_within_limits(&document) {
            Ok((view, left_out)) => {
                if left_out > 0 {
                    counter!(CUT).increment(1);
                    let id = &document.id;
                    warn!(document = %id, left_out, "a document has too many values; some are left out");
                }
                Some(DocumentWrite {
                    document,
                    view,
                    expected: revision,
                })
            }
            Err(error) => {
                chunk.refuse(&document.id, error.to_string());
                None
            }
        }
    }

    /// Up to which version each table is truncated, if these documents must apply truncations.
    async fn truncated(
        &self,
        pending: &Edits,
    ) -> Result<BTreeMap<String, RowVersion>, SearchError> {
        let has_roots = pending.keys().any(|id| matches!(id, DocumentId::Root(_)));
        if !has_roots || !self.applies_truncations() {
            return Ok(BTreeMap::new());
        }
        let tables = std::iter::once(&self.projection.root).chain(&self.projection.children);
        let ids: Vec<_> = tables
            .map(|table| DocumentId::Truncation(table.name.clone()))
            .collect();
        let mut truncated = BTreeMap::new();
        for loaded in self.load(&ids).await? {
            // Without one of them, deleted rows would come back.
            truncated.extend(truncation(&loaded?.document));
        }
        Ok(truncated)
    }

    /// Lets every root document apply the truncations.
    pub(super) async fn apply_truncations(&self, truncations: &Edits, job: &mut Job) {
        let edits: Vec<_> = truncations.values().flatten().cloned().collect();
        let mut after = None;
        while !job.gives_up(truncations) {
            let scan = self
                .writer
                .scan(&self.generation, after.as_ref(), self.bulk);
            let deadline = Deadline::after(self.clock.as_ref(), "scan", self.timeout);
            let ids = match deadline.bound(scan).await {
                Ok(ids) => ids,
                Err(error) => {
                    job.unavailable(error.to_string(), pause_after(&error));
                    continue;
                }
            };
            let Some(last) = ids.last() else {
                return;
            };
            after = Some(last.clone());
            let page = ids.into_iter().map(|id| (id, edits.clone())).collect();
            self.settle(page, job).await;
        }
    }

    async fn load(
        &self,
        ids: &[DocumentId],
    ) -> Result<Vec<Result<Loaded, SearchError>>, SearchError> {
        let deadline = Deadline::after(self.clock.as_ref(), "load", self.timeout);
        let loaded = deadline
            .bound(self.writer.load(&self.generation, ids))
            .await?;
        let loaded = one_for_each("load", ids.len(), loaded)?;
        for (id, loaded) in ids.iter().zip(&loaded) {
            if let Ok(Loaded { document, .. }) = loaded
                && document.id != *id
            {
                let what = format!("document {id} was loaded, and {} was returned", document.id);
                return Err(SearchError::Damaged { what });
            }
        }
        Ok(loaded)
    }
}

/// What is kept of a document while the index has it: all of a SKU's, which is read later.
struct Written {
    document: Document,
    rows: usize,
    deleted: usize,
}

impl Written {
    fn of(write: &DocumentWrite) -> Self {
        let document = &write.document;
        let rows = document.rows.values();
        Self {
            rows: rows.len(),
            deleted: rows.filter(|row| row.columns.is_none()).count(),
            document: match &document.id {
                DocumentId::Sku(_) => document.clone(),
                id => Document::new(id.clone()),
            },
        }
    }
}

fn pause_after(error: &SearchError) -> Duration {
    match error.retry() {
        Retry::After(pause) => pause,
        Retry::Never | Retry::RestartTransaction | Retry::OutcomeUnknown => LONGEST_PAUSE,
    }
}
