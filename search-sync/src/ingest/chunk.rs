//! The documents that are loaded and written together, and the progress of each.

use std::collections::BTreeMap;
use std::time::Duration;

use super::job::{Edits, Job, RecordEdit};
use crate::document::{Document, DocumentId};

/// A longer pause is left to the consumer, which pauses the partition meanwhile.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(1);

pub(super) type Documents = BTreeMap<DocumentId, Document>;

/// A document that can't take all its changes.
pub(super) struct Refused {
    pub(super) id: DocumentId,
    pub(super) edits: Vec<RecordEdit>,
    pub(super) reason: String,
}

/// Documents that are loaded and written together.
pub(super) struct Chunk {
    /// The documents that are not settled yet, with their changes.
    pub(super) pending: Edits,
    /// Why pending documents must wait, and how long.
    waits: BTreeMap<DocumentId, (String, Duration)>,
    pub(super) refused: Vec<Refused>,
}

impl Chunk {
    pub(super) fn new(pending: Edits) -> Self {
        Self {
            pending,
            waits: BTreeMap::new(),
            refused: Vec::new(),
        }
    }

    /// Begins a new attempt at what is pending.
    pub(super) fn begin_attempt(&mut self) {
        self.waits.clear();
    }

    /// The document is durable and contains all its changes. The documents of SKUs are kept,
    /// because their owners get the stock from them.
    pub(super) fn settle(&mut self, document: Document, skus: &mut Documents) {
        self.pending.remove(&document.id);
        if matches!(document.id, DocumentId::Sku(_)) {
            skus.insert(document.id.clone(), document);
        }
    }

    /// The document can never take all its changes.
    pub(super) fn refuse(&mut self, id: &DocumentId, reason: String) {
        if let Some((id, edits)) = self.pending.remove_entry(id) {
            self.refused.push(Refused { id, edits, reason });
        }
    }

    /// The document must be tried again after a pause.
    pub(super) fn wait(&mut self, id: DocumentId, reason: String, pause: Duration) {
        self.waits.insert(id, (reason, pause));
    }

    /// The pause before the next attempt.
    pub(super) fn pause(&self) -> Duration {
        let pauses = self.waits.values().map(|(_, pause)| *pause);
        pauses.max().unwrap_or_default()
    }

    /// Returns documents with a longer pause than [`LONGEST_PAUSE`] to the consumer.
    pub(super) fn postpone_long_waits(&mut self, job: &mut Job) {
        self.postpone(job, |pause| pause > LONGEST_PAUSE);
    }

    /// Returns all pending documents to the consumer.
    pub(super) fn postpone_all(&mut self, job: &mut Job) {
        self.postpone(job, |_| true);
    }

    /// Their records are not to blame, and records of other documents go on.
    fn postpone(&mut self, job: &mut Job, which: impl Fn(Duration) -> bool) {
        self.pending.retain(|id, edits| {
            let truncated = || ("truncations kept arriving".to_owned(), Duration::ZERO);
            let (reason, pause) = self.waits.get(id).cloned().unwrap_or_else(truncated);
            if !which(pause) {
                return true;
            }
            self.waits.remove(id);
            let reason = format!("document {id}: {reason}");
            job.postpone(edits, reason, pause.max(LONGEST_PAUSE));
            false
        });
    }
}
