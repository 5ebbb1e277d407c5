//! What is searched of a document: fields with values.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use stockade_change_feed::debezium::Columns;

use crate::document::{Document, DocumentId, RowKey};
use crate::error::SearchError;
use crate::fields;
use crate::projection::{Projection, Table};
use crate::stock;

/// Most fields of a document.
const MOST_FIELDS: usize = 1_000;
/// Most values of all fields of a document together.
const MOST_VALUES: usize = 10_000;

/// The fields of a document, each with its values in order. Values of child rows stand side by
/// side, each once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct View {
    /// The values by field name.
    pub fields: BTreeMap<String, Vec<FieldValue>>,
}

/// A value of a field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FieldValue {
    /// A number; never NaN or infinite.
    Number(f64),
    /// Text.
    Text(String),
}

impl FieldValue {
    /// A number, unless it is NaN or infinite. Negative zero becomes zero.
    #[must_use]
    pub fn number(number: f64) -> Option<Self> {
        number.is_finite().then_some(Self::Number(number + 0.0))
    }
}

impl fmt::Display for FieldValue {
    /// As facets show it: text as it is, a number in its shortest form, such as `6` and `0.25`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl Projection {
    /// What is searched of a document. `None` while its root row is absent or not to be shown,
    /// and for documents that are never hits.
    ///
    /// Children count only if they are newer than the last deletion of their root. Text is cut
    /// at 32 KiB; empty keywords, keywords over 8 KiB and members of attributes whose path is
    /// over 256 bytes are left out.
    ///
    /// # Errors
    /// [`SearchError::BadRow`] for a row that is not as the projection says, and for a document
    /// of more than 1000 fields or 10 000 values.
    pub fn view(&self, document: &Document) -> Result<Option<View>, SearchError> {
        let DocumentId::Root(key) = &document.id else {
            return Ok(None);
        };
        let key = RowKey {
            table: self.root.name.clone(),
            key: key.clone(),
        };
        let root = document.rows.get(&key).and_then(|row| row.columns.as_ref());
        let Some(root) = root.filter(|root| self.shows(root)) else {
            return Ok(None);
        };
        let mut builder = Builder::default();
        builder.row(&self.root, root)?;
        let mut available = false;
        for (key, child, table) in self.children_of(document) {
            builder.row(table, child)?;
            let stock = self.stock.as_ref();
            available |= stock.is_some_and(|stock| stock.table == table.name)
                && stock::is_available(document, &key.key);
        }
        if let Some(stock) = &self.stock {
            let value = FieldValue::Text(available.to_string());
            builder.value(&stock.in_stock, value);
        }
        Ok(Some(builder.view))
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

/// Whether a row alone can be shown: so that a bad one is found before it is part of a document.
pub(crate) fn check_row(table: &Table, columns: &Columns) -> Result<(), SearchError> {
    Builder::default().row(table, columns)
}

#[derive(Default)]
struct Builder {
    view: View,
    seen: HashSet<(String, String)>,
}

impl Builder {
    fn row(&mut self, table: &Table, columns: &Columns) -> Result<(), SearchError> {
        fields::of_row(table, columns, &mut |field, value| self.value(field, value))?;
        let most = |what: &str, most: usize| {
            let reason = format!("with this row the document has more than {most} {what}");
            Err(table.bad(&table.key, reason))
        };
        if self.view.fields.len() > MOST_FIELDS {
            return most("fields", MOST_FIELDS);
        }
        if self.seen.len() > MOST_VALUES {
            return most("values", MOST_VALUES);
        }
        Ok(())
    }

    fn value(&mut self, field: &str, value: FieldValue) {
        // A number and text that reads the same are kept apart.
        let mark = match &value {
            FieldValue::Number(number) => format!("n{number}"),
            FieldValue::Text(text) => format!("t{text}"),
        };
        if self.seen.insert((field.to_owned(), mark)) {
            let values = self.view.fields.entry(field.to_owned()).or_default();
            values.push(value);
        }
    }
}

#[cfg(test)]
mod tests;
