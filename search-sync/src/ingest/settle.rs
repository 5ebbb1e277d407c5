//! Load, merge, write, and again what another writer was faster with.

use std::collections::BTreeMap;
use std::time::Duration;

use metrics::counter;
use stockade_change_feed::{Failure, Retry};
use tracing::warn;

use super::job::{Asked, Edits, Job};
use super::{CONFLICTS, CUT, Ingest, STALE_EPOCHS, WRITTEN};
use crate::document::{Document, DocumentId, RowVersion};
use crate::error::SearchError;
use crate::index::{DocumentWrite, Loaded, WriteOutcome};
use crate::merge::{Merged, truncation};
use crate::stock;

/// How often a document is tried within one call.
const ATTEMPTS: u32 = 8;
/// Who was slower than another writer waits so long, times its attempts.
const CONFLICT_PAUSE: Duration = Duration::from_millis(5);
/// A longer pause is left to the consumer, which keeps its partitions meanwhile.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

type Documents = BTreeMap<DocumentId, Document>;

/// Documents that can not take all that is asked of them, and why.
type Refused = Vec<(DocumentId, Vec<Asked>, String)>;

/// How the documents of a bulk fare.
struct Progress {
    settled: Documents,
    refused: Refused,
    /// Why documents of the last round are still pending, and how long they have to wait.
    waits: BTreeMap<DocumentId, (String, Duration)>,
}

impl Ingest {
    /// Brings documents to the state that was asked for, durably, and returns those of SKUs as
    /// they are then. Records for which this fails are marked in the job.
    pub(super) async fn settle(&self, edits: Edits, job: &mut Job) -> Documents {
        let mut settled = Documents::new();
        let mut edits = edits.into_iter();
        loop {
            let bulk: Edits = edits.by_ref().take(self.bulk.get()).collect();
            if bulk.is_empty() {
                return settled;
            }
            let refused = self.together(bulk, job, &mut settled).await;
            for (id, asked, reason) in refused {
                self.one_by_one(&id, asked, reason, job, &mut settled).await;
            }
        }
    }

    /// Merges one record after the other into a document that can not take them together, to
    /// find out which it can't take.
    async fn one_by_one(
        &self,
        id: &DocumentId,
        asked: Vec<Asked>,
        reason: String,
        job: &mut Job,
        settled: &mut Documents,
    ) {
        let mut of_records: BTreeMap<usize, Vec<Asked>> = BTreeMap::new();
        for (record, edit) in asked {
            of_records.entry(record).or_default().push((record, edit));
        }
        if let (1, Some(record)) = (of_records.len(), of_records.keys().next()) {
            return job.dead_letter(*record, reason);
        }
        for (record, asked) in of_records {
            let alone = Edits::from([(id.clone(), asked)]);
            for (.., reason) in self.together(alone, job, settled).await {
                job.dead_letter(record, reason);
            }
        }
    }

    /// Settles the documents of a bulk, and returns those that can not take all of it.
    async fn together(
        &self,
        mut pending: Edits,
        job: &mut Job,
        settled: &mut Documents,
    ) -> Refused {
        let mut progress = Progress::new();
        for attempt in 1..=ATTEMPTS {
            if job.gives_up(&pending) {
                break;
            }
            if let Err(error) = self.attempt(attempt, &mut pending, &mut progress).await {
                job.unavailable(error.to_string(), pause_after(&error));
                continue;
            }
            progress.leave(&mut pending, job, |pause| pause > LONGEST_PAUSE);
            if pending.is_empty() {
                break;
            }
            let pause = progress.waits.values().map(|(_, pause)| *pause).max();
            if let Some(pause) = pause.filter(|_| attempt < ATTEMPTS) {
                tokio::time::sleep(pause).await;
            }
        }
        if !job.gives_up(&pending) {
            progress.leave(&mut pending, job, |_| true);
        }
        settled.extend(progress.settled);
        progress.refused
    }

    /// One round: what remains in `pending` has to be tried again.
    async fn attempt(
        &self,
        attempt: u32,
        pending: &mut Edits,
        progress: &mut Progress,
    ) -> Result<(), SearchError> {
        let writes = self.merge_pending(pending, progress).await?;
        if writes.is_empty() {
            return Ok(());
        }
        let kept = |document: &Document| match &document.id {
            DocumentId::Sku(_) => document.clone(),
            id => Document::new(id.clone()),
        };
        let documents: Vec<_> = writes
            .iter()
            .map(|write| (kept(&write.document), size(&write.document)))
            .collect();
        let outcomes = self
            .in_time("write", self.writer.write(&self.generation, writes))
            .await?;
        for ((document, size), outcome) in documents.into_iter().zip(outcomes) {
            match outcome {
                WriteOutcome::Durable => {
                    counter!(WRITTEN).increment(1);
                    let is_root = matches!(document.id, DocumentId::Root(_));
                    if !(is_root && self.heeds_truncations()) {
                        progress.settle(pending, document);
                    }
                    // Else it is loaded once more, and settled when nothing is left to merge: a
                    // truncation whose scan did not see the document is seen by it.
                }
                WriteOutcome::Conflict => {
                    counter!(CONFLICTS).increment(1);
                    let reason = "other writers were always faster";
                    progress.wait(document.id, reason.to_owned(), CONFLICT_PAUSE * attempt);
                }
                WriteOutcome::Retry { reason, after } => progress.wait(document.id, reason, after),
                WriteOutcome::Refused { reason } => {
                    let (rows, deleted) = size;
                    let id = &document.id;
                    let reason = format!(
                        "document {id} of {rows} rows, {deleted} of them deleted and kept, was \
                         refused: {reason}"
                    );
                    progress.refuse(pending, id, reason);
                }
            }
        }
        Ok(())
    }

    /// Loads what is pending, merges it and returns what has changed by that.
    async fn merge_pending(
        &self,
        pending: &mut Edits,
        progress: &mut Progress,
    ) -> Result<Vec<DocumentWrite>, SearchError> {
        progress.waits.clear();
        let truncated = self.truncated(pending).await?;
        let ids: Vec<_> = pending.keys().cloned().collect();
        let loaded = self.load(&ids).await?;
        let mut writes = Vec::new();
        for (id, loaded) in ids.into_iter().zip(loaded) {
            let Loaded {
                mut document,
                revision,
            } = match loaded {
                Ok(loaded) => loaded,
                Err(error @ SearchError::Damaged { .. }) => {
                    progress.refuse(pending, &id, error.to_string());
                    continue;
                }
                Err(error) => {
                    progress.wait(id, error.to_string(), pause_after(&error));
                    continue;
                }
            };
            let asked = pending.get(&document.id).map_or(&[][..], Vec::as_slice);
            if self.merge(&mut document, asked, &truncated) == Merged::Unchanged {
                progress.settle(pending, document);
                continue;
            }
            match self.projection.view_within_limits(&document) {
                Ok((view, left_out)) => {
                    if left_out > 0 {
                        counter!(CUT).increment(1);
                        warn!(
                            document = %document.id,
                            left_out,
                            "a document has too many values, and is searched without some of them"
                        );
                    }
                    writes.push(DocumentWrite {
                        document,
                        view,
                        expected: revision,
                    });
                }
                Err(error) => progress.refuse(pending, &document.id, error.to_string()),
            }
        }
        Ok(writes)
    }

    fn merge(
        &self,
        document: &mut Document,
        asked: &[Asked],
        truncated: &BTreeMap<String, RowVersion>,
    ) -> Merged {
        let mut merged = Merged::Unchanged;
        // A sweep asks of all documents what was asked of the truncation's.
        let own = asked
            .iter()
            .filter(|(_, edit)| edit.document == document.id);
        for edit in own.map(|(_, edit)| edit).collect::<Vec<_>>() {
            if stock::is_of_older_epoch(document, edit) {
                counter!(STALE_EPOCHS).increment(1);
                warn!(
                    sku = edit.key.key,
                    "stock of an older epoch is ignored; who publishes it?"
                );
            }
            merged = merged.or(self.projection.merge(document, edit));
        }
        if matches!(document.id, DocumentId::Root(_)) {
            merged = merged.or(self.projection.truncate(document, truncated));
        }
        merged
    }

    /// Up to which versions tables are truncated, where documents have to heed it.
    async fn truncated(
        &self,
        pending: &Edits,
    ) -> Result<BTreeMap<String, RowVersion>, SearchError> {
        let has_roots = pending.keys().any(|id| matches!(id, DocumentId::Root(_)));
        if !has_roots || !self.heeds_truncations() {
            return Ok(BTreeMap::new());
        }
        let tables = std::iter::once(&self.projection.root).chain(&self.projection.children);
        let ids: Vec<_> = tables
            .map(|table| DocumentId::Truncation(table.name.clone()))
            .collect();
        let mut truncated = BTreeMap::new();
        for loaded in self.load(&ids).await? {
            // Every root asks for these: without one, rows would come back.
            truncated.extend(truncation(&loaded?.document));
        }
        Ok(truncated)
    }

    /// Has every document heed truncations.
    pub(super) async fn sweep(&self, truncations: &Edits, job: &mut Job) {
        let asked: Vec<_> = truncations.values().flatten().cloned().collect();
        let mut after = None;
        while !job.gives_up(truncations) {
            let limit = self.bulk.get();
            let scan = self.writer.scan(&self.generation, after.as_ref(), limit);
            let ids = match self.in_time("scan", scan).await {
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
            let page = ids.into_iter().map(|id| (id, asked.clone())).collect();
            self.settle(page, job).await;
        }
    }

    /// What the index answers within the deadline.
    async fn in_time<T>(
        &self,
        operation: &'static str,
        answer: impl Future<Output = Result<T, SearchError>>,
    ) -> Result<T, SearchError> {
        let after = self.timeout;
        let late = |_| SearchError::from(Failure::timed_out(operation, after));
        tokio::time::timeout(after, answer).await.map_err(late)?
    }

    async fn load(
        &self,
        ids: &[DocumentId],
    ) -> Result<Vec<Result<Loaded, SearchError>>, SearchError> {
        let loaded = self
            .in_time("load", self.writer.load(&self.generation, ids))
            .await?;
        let same = |(loaded, id): (&Result<Loaded, SearchError>, &DocumentId)| {
            loaded
                .as_ref()
                .map_or(true, |loaded| loaded.document.id == *id)
        };
        if loaded.len() != ids.len() || !loaded.iter().zip(ids).all(same) {
            let what = format!("{} documents were asked for, and others came", ids.len());
            return Err(SearchError::Damaged { what });
        }
        Ok(loaded)
    }
}

impl Progress {
    fn new() -> Self {
        Self {
            settled: Documents::new(),
            refused: Refused::new(),
            waits: BTreeMap::new(),
        }
    }

    fn settle(&mut self, pending: &mut Edits, document: Document) {
        pending.remove(&document.id);
        // Only of SKUs is there anything to carry.
        if matches!(document.id, DocumentId::Sku(_)) {
            self.settled.insert(document.id.clone(), document);
        }
    }

    fn refuse(&mut self, pending: &mut Edits, id: &DocumentId, reason: String) {
        if let Some((id, asked)) = pending.remove_entry(id) {
            self.refused.push((id, asked, reason));
        }
    }

    fn wait(&mut self, id: DocumentId, reason: String, pause: Duration) {
        self.waits.insert(id, (reason, pause));
    }

    /// Leaves the documents whose pause is such to the consumer. None of the records that ask for
    /// them is to blame, and those of other documents go on.
    fn leave(&mut self, pending: &mut Edits, job: &mut Job, such: impl Fn(Duration) -> bool) {
        pending.retain(|id, asked| {
            let none = || {
                let reason = "the index gave no outcome, or truncations kept coming";
                (reason.to_owned(), Duration::ZERO)
            };
            let (reason, pause) = self.waits.get(id).cloned().unwrap_or_else(none);
            if !such(pause) {
                return true;
            }
            self.waits.remove(id);
            job.leave(
                asked,
                format!("document {id}: {reason}"),
                pause.max(LONGEST_PAUSE),
            );
            false
        });
    }
}

/// How many rows a document has, and how many of them are deleted.
fn size(document: &Document) -> (usize, usize) {
    let rows = document.rows.values();
    (rows.len(), rows.filter(|row| row.columns.is_none()).count())
}

fn pause_after(error: &SearchError) -> Duration {
    match error.retry() {
        Retry::After(pause) => pause,
        Retry::Never | Retry::RestartTransaction | Retry::OutcomeUnknown => LONGEST_PAUSE,
    }
}
