//! The records of one call, what is left to do for them, and how each ended.

use std::collections::BTreeMap;
use std::time::Duration;

use metrics::counter;
use stockade_change_feed::{Disposition, Record};
use tracing::warn;

use super::DEAD_LETTERS;
use crate::document::DocumentId;
use crate::rows::Edit;

/// What one record of the job asks of a document.
pub(super) type Asked = (usize, Edit);
/// What is asked of documents.
pub(super) type Edits = BTreeMap<DocumentId, Vec<Asked>>;

pub(super) struct Job {
    edits: Edits,
    /// `Done` until something else is known.
    ended: Vec<Disposition>,
    /// Why nothing more is tried.
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

    pub(super) fn add(&mut self, record: usize, edits: Vec<Edit>) {
        for edit in edits {
            let of_document = self.edits.entry(edit.document.clone()).or_default();
            of_document.push((record, edit));
        }
    }

    pub(super) fn extend(&mut self, edits: Edits) {
        for (document, edits) in edits {
            self.edits.entry(document).or_default().extend(edits);
        }
    }

    /// Takes what is asked of these documents by records that have not failed before.
    pub(super) fn take(&mut self, of: impl Fn(&DocumentId) -> bool) -> Edits {
        let (taken, left): (Edits, Edits) = std::mem::take(&mut self.edits)
            .into_iter()
            .partition(|(id, _)| of(id));
        self.edits = left;
        self.unfailed(taken)
    }

    /// Without what is asked by records that have failed.
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

    /// Leaves a document to the consumer, which hands these records over again, without limit.
    pub(super) fn leave(&mut self, asked: &[Asked], reason: String, retry_after: Duration) {
        warn!(%reason, "a document can not be written for now");
        let unavailable = Disposition::Unavailable {
            reason,
            retry_after,
        };
        for (record, _) in asked {
            self.end(*record, unavailable.clone());
        }
    }

    /// Nothing more is to be tried for now.
    pub(super) fn unavailable(&mut self, reason: String, retry_after: Duration) {
        warn!(%reason, "the index is unavailable");
        self.unavailable = Some(Disposition::Unavailable {
            reason,
            retry_after,
        });
    }

    /// Gives these up, if nothing more is to be tried.
    pub(super) fn gives_up(&mut self, edits: &Edits) -> bool {
        let Some(unavailable) = self.unavailable.clone() else {
            return false;
        };
        for (record, _) in edits.values().flatten() {
            self.end(*record, unavailable.clone());
        }
        true
    }

    /// The first failure of a record counts, save that a poisoned one is poisoned.
    fn end(&mut self, record: usize, disposition: Disposition) {
        let poisoned = matches!(disposition, Disposition::DeadLetter { .. });
        let ended = &mut self.ended[record];
        if *ended == Disposition::Done || poisoned {
            *ended = disposition;
        }
    }

    pub(super) fn dispositions(self, records: &[Record]) -> Vec<Disposition> {
        for (record, ended) in records.iter().zip(&self.ended) {
            if let Disposition::DeadLetter { reason } = ended {
                counter!(DEAD_LETTERS).increment(1);
                warn!(position = %record.position, %reason, "a record can never be merged");
            }
        }
        self.ended
    }
}
