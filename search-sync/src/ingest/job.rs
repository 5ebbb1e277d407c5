//! The progress of one call: of its records, and of the documents that are written together.

use std::collections::BTreeMap;
use std::time::Duration;

use metrics::counter;
use stockade_change_feed::{Disposition, Record};
use tracing::warn;

use super::telemetry::DEAD_LETTERS;
use crate::document::{Document, DocumentId, RowEdit};

/// A change to a document, with the index of its record in the call.
pub(super) type RecordEdit = (usize, RowEdit);
/// Changes by document.
pub(super) type Edits = BTreeMap<DocumentId, Vec<RecordEdit>>;

/// The records of one call: which changes are left to do for them, and how each record ended.
pub(super) struct Job {
    edits: Edits,
    /// `Done` until something else is known.
    ended: Vec<Disposition>,
    /// Why the index is not called any more.
    unavailable: Option<Disposition>,
}

impl Job {
    pub(super) fn new(records: usize) -> Self {
        Self {
            edits: Edits::new(),
            ended: vec![Disposition::Done; records],
            unavailable: None,
        }
    }

    pub(super) fn add(&mut self, record: usize, edits: impl IntoIterator<Item = RowEdit>) {
        for edit in edits {
            let of_document = self.edits.entry(edit.document.clone()).or_default();
            of_document.push((record, edit));
        }
    }

    /// Takes the changes to these documents, except those of records that have failed.
    pub(super) fn take(&mut self, of: impl Fn(&DocumentId) -> bool) -> Edits {
        let (taken, left): (Edits, Edits) = std::mem::take(&mut self.edits)
            .into_iter()
            .partition(|(id, _)| of(id));
        self.edits = left;
        self.unfailed(taken)
    }

    /// Leaves out the changes of records that have failed.
    pub(super) fn unfailed(&self, mut edits: Edits) -> Edits {
        edits.retain(|_, edits| {
            edits.retain(|(record, _)| self.ended[*record] == Disposition::Done);
            !edits.is_empty()
        });
        edits
    }

    pub(super) fn dead_letter(&mut self, record: usize, reason: String) {
        self.end(record, Disposition::DeadLetter { reason });
    }

    /// Returns the records of a document to the consumer, which handles them again, without limit.
    pub(super) fn postpone(&mut self, edits: &[RecordEdit], reason: String, retry_after: Duration) {
        warn!(%reason, "a document can not be written now");
        let unavailable = Disposition::Unavailable {
            reason,
            retry_after,
        };
        for (record, _) in edits {
            self.end(*record, unavailable.clone());
        }
    }

    /// The index failed as a whole and is not called any more.
    pub(super) fn unavailable(&mut self, reason: String, retry_after: Duration) {
        warn!(%reason, "the index is unavailable");
        self.unavailable = Some(Disposition::Unavailable {
            reason,
            retry_after,
        });
    }

    /// Whether the index failed as a whole. Then the records of these changes are unavailable.
    pub(super) fn gives_up(&mut self, edits: &Edits) -> bool {
        let Some(unavailable) = self.unavailable.clone() else {
            return false;
        };
        for (record, _) in edits.values().flatten() {
            self.end(*record, unavailable.clone());
        }
        true
    }

    /// The first failure of a record counts, but a dead letter stays a dead letter.
    fn end(&mut self, record: usize, disposition: Disposition) {
        let dead = matches!(disposition, Disposition::DeadLetter { .. });
        let ended = &mut self.ended[record];
        if *ended == Disposition::Done || dead {
            *ended = disposition;
        }
    }

    pub(super) fn dispositions(self, records: &[Record]) -> Vec<Disposition> {
        for (record, ended) in records.iter().zip(&self.ended) {
            if let Disposition::DeadLetter { reason } = ended {
                counter!(DEAD_LETTERS).increment(1);
                warn!(position = %record.position, %reason, "a record becomes a dead letter");
            }
        }
        self.ended
    }
}

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
    /// Why pending documents must wait, and how long. Each attempt begins without waits.
    pub(super) waits: BTreeMap<DocumentId, (String, Duration)>,
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

    /// Returns the pending documents whose pause `which` accepts to the consumer. Records of other
    /// documents continue.
    pub(super) fn postpone(&mut self, job: &mut Job, which: impl Fn(Duration) -> bool) {
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
