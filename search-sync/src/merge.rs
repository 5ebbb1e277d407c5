//! How rows merge into a document: each on its own, in any order, any number of times.

use std::collections::BTreeMap;

use crate::document::{Document, DocumentId, Row, RowKey, RowVersion};
use crate::projection::Projection;
use crate::rows::Edit;
use crate::stock;

/// Whether a merge changed anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merged {
    /// The document is no longer as it was.
    Changed,
    /// All of it was known.
    Unchanged,
}

impl Merged {
    /// Changed, if either of them is.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match self {
            Self::Changed => Self::Changed,
            Self::Unchanged => other,
        }
    }
}

impl Document {
    /// Merges the state of a row: the higher version wins, and a deletion wins ties.
    pub fn merge(&mut self, key: &RowKey, row: &Row) -> Merged {
        let rank = |row: &Row| (row.version, row.columns.is_none());
        let known = self.rows.get(key);
        if known.is_some_and(|known| rank(known) >= rank(row)) {
            return Merged::Unchanged;
        }
        self.rows.insert(key.clone(), row.clone());
        Merged::Changed
    }

    fn remember_root_deleted(&mut self, version: RowVersion) -> Merged {
        // None is less than any version.
        if self.root_deleted >= Some(version) {
            return Merged::Unchanged;
        }
        self.root_deleted = Some(version);
        Merged::Changed
    }
}

impl Projection {
    /// Merges an edit into its document. The outcome is the same in whatever order edits come,
    /// and however often.
    ///
    /// That the root was deleted is remembered, also when it is there again or the news come
    /// late: its children of that time are not shown again.
    pub fn merge(&self, document: &mut Document, edit: &Edit) -> Merged {
        if let Some(merged) = stock::merge(document, edit) {
            return merged;
        }
        let merged = document.merge(&edit.key, &edit.row);
        let is_root = matches!(document.id, DocumentId::Root(_));
        if is_root && edit.key.table == self.root.name && edit.row.columns.is_none() {
            return merged.or(document.remember_root_deleted(edit.row.version));
        }
        merged
    }

    /// Deletes the rows of truncated tables up to the version of the truncation, each at its own
    /// version. To be repeated with each merge, for rows that come late.
    pub fn truncate(
        &self,
        document: &mut Document,
        truncated: &BTreeMap<String, RowVersion>,
    ) -> Merged {
        let mut merged = Merged::Unchanged;
        for (key, row) in &mut document.rows {
            let gone = truncated
                .get(&key.table)
                .is_some_and(|at| row.version <= *at);
            if gone && row.columns.take().is_some() {
                merged = Merged::Changed;
            }
        }
        match truncated.get(&self.root.name) {
            Some(version) => merged.or(document.remember_root_deleted(*version)),
            None => merged,
        }
    }
}

/// Up to which version a table is truncated, according to its document.
pub(crate) fn truncation(document: &Document) -> Option<(String, RowVersion)> {
    let (key, row) = document.rows.first_key_value()?;
    Some((key.table.clone(), row.version))
}

#[cfg(test)]
mod tests;
