//! How rows are merged into a document: each by itself, in any order, any number of times.

use std::collections::BTreeMap;

use super::{Projection, stock};
use crate::document::{Document, DocumentId, Merged, RowEdit, RowVersion};

impl Projection {
    /// Merges an edit into its document. The result does not depend on the order of the edits or
    /// on repetitions.
    ///
    /// The version at which the root was deleted is kept, even if the root exists again or if the
    /// deletion arrives late: children of that time are not shown again.
    pub fn merge(&self, document: &mut Document, edit: &RowEdit) -> Merged {
        if stock::is_event(edit) {
            return stock::merge(document, edit);
        }
        let merged = document.merge(&edit.key, &edit.row);
        let is_root = matches!(document.id, DocumentId::Root(_));
        if is_root && edit.key.table == self.root.name && edit.row.columns.is_none() {
            return merged.or(remember_root_deleted(document, edit.row.version));
        }
        merged
    }

    /// Deletes the rows of truncated tables up to the version of the truncation; each row keeps
    /// its own version. Call it again after each merge, for rows that arrive late.
    pub fn truncate(
        &self,
        document: &mut Document,
        truncated: &BTreeMap<String, RowVersion>,
    ) -> Merged {
        let mut merged = Merged::Unchanged;
        for (key, row) in &mut document.rows {
            let deleted = truncated
                .get(&key.table)
                .is_some_and(|at| row.version <= *at);
            if deleted && row.columns.take().is_some() {
                merged = Merged::Changed;
            }
        }
        match truncated.get(&self.root.name) {
            Some(version) => merged.or(remember_root_deleted(document, *version)),
            None => merged,
        }
    }
}

fn remember_root_deleted(document: &mut Document, version: RowVersion) -> Merged {
    // None is less than any version.
    if document.root_deleted >= Some(version) {
        return Merged::Unchanged;
    }
    document.root_deleted = Some(version);
    Merged::Changed
}

/// The truncated table and the version of the truncation, read from the truncation's document.
pub(crate) fn truncation(document: &Document) -> Option<(String, RowVersion)> {
    let (key, row) = document.rows.first_key_value()?;
    Some((key.table.clone(), row.version))
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;
