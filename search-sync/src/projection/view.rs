//! The searched part of a document.

use std::collections::HashSet;

use stockade_change_feed::debezium::Columns;

use super::{FieldKind, Projection, Table, fields, stock};
use crate::document::{Document, DocumentId, FieldValue, RowKey, View};
use crate::error::SearchError;

/// Most fields of a document.
const MOST_FIELDS: usize = 1_000;
/// Most values of all fields of a document together.
const MOST_VALUES: usize = 10_000;

impl Projection {
    /// The searched part of a document. `None` if its root row is absent or must not be shown, and
    /// for documents that are never hits.
    ///
    /// Children count only if they are newer than the last deletion of their root. Text is cut at
    /// 32 KiB. Empty keywords, keywords over 8 KiB and members of attributes whose path is over
    /// 256 bytes are left out.
    ///
    /// A document has at most 1,000 fields and 10,000 values; the rest is left out. The order is:
    /// whether stock is available, then the columns that are fields, then the members of
    /// attributes. Within each, the root's row comes first, then its children by table and key. So
    /// a document is found by its names and identifiers, no matter how many attributes it has.
    ///
    /// # Errors
    /// [`SearchError::BadRow`] for a row that does not fit the projection.
    pub fn view(&self, document: &Document) -> Result<Option<View>, SearchError> {
        Ok(self.view_within_limits(document)?.0)
    }

    /// The view, and how many values the limits left out.
    pub(crate) fn view_within_limits(
        &self,
        document: &Document,
    ) -> Result<(Option<View>, usize), SearchError> {
        let DocumentId::Root(key) = &document.id else {
            return Ok((None, 0));
        };
        let key = RowKey {
            table: self.root.name.clone(),
            key: key.clone(),
        };
        let root = document.rows.get(&key).and_then(|row| row.columns.as_ref());
        let Some(root) = root.filter(|root| self.shows(root)) else {
            return Ok((None, 0));
        };
        let mut builder = Builder::default();
        if let Some(stock) = &self.stock {
            let mut with_stock = self
                .children_of(document)
                .filter(|(.., table)| table.name == stock.table);
            let available = with_stock.any(|(key, ..)| stock::is_available(document, &key.key));
            builder.add(&stock.in_stock, FieldValue::Text(available.to_string()));
        }
        for attributes in [false, true] {
            let kinds = |kind| (kind == FieldKind::Attributes) == attributes;
            let children = self.children_of(document);
            let rows = std::iter::once((root, &self.root))
                .chain(children.map(|(_, columns, table)| (columns, table)));
            for (columns, table) in rows {
                let sink = &mut |field: &str, value| builder.add(field, value);
                fields::of_row(table, columns, kinds, sink)?;
            }
        }
        Ok((Some(builder.view), builder.left_out))
    }

    fn shows(&self, root: &Columns) -> bool {
        self.shown_when.as_ref().is_none_or(|condition| {
            let value = root.get(&condition.column);
            value.and_then(|value| value.as_str()) == Some(&condition.equals)
        })
    }

    fn children_of<'a>(
        &'a self,
        document: &'a Document,
    ) -> impl Iterator<Item = (&'a RowKey, &'a Columns, &'a Table)> {
        document.rows.iter().filter_map(|(key, row)| {
            let table = self.children.iter().find(|table| table.name == key.table)?;
            let newer = Some(row.version) > document.root_deleted;
            let columns = row.columns.as_ref().filter(|_| newer)?;
            Some((key, columns, table))
        })
    }
}

/// Whether a row alone can be shown: a bad row is found before it is part of a document.
pub(super) fn check_row(table: &Table, columns: &Columns) -> Result<(), SearchError> {
    fields::of_row(table, columns, |_| true, &mut |_, _| {})
}

#[derive(Default)]
struct Builder {
    view: View,
    seen: HashSet<(String, String)>,
    left_out: usize,
}

impl Builder {
    fn add(&mut self, field: &str, value: FieldValue) {
        // A number and a text with the same digits are different values.
        let mark = match &value {
            FieldValue::Number(number) => format!("n{number}"),
            FieldValue::Text(text) => format!("t{text}"),
        };
        let seen = (field.to_owned(), mark);
        if self.seen.contains(&seen) {
            return;
        }
        let fields = &mut self.view.fields;
        let fits = fields.len() < MOST_FIELDS || fields.contains_key(field);
        if !fits || self.seen.len() >= MOST_VALUES {
            self.left_out += 1;
            return;
        }
        self.seen.insert(seen);
        fields.entry(field.to_owned()).or_default().push(value);
    }
}

#[cfg(test)]
#[path = "view_tests.rs"]
mod tests;
