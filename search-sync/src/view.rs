//! What is searched of a document: fields with values.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use stockade_change_feed::debezium::Columns;

use crate::document::{Document, DocumentId, RowKey};
use crate::error::SearchError;
use crate::fields;
use crate::projection::{FieldKind, Projection, Table};
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
#[derive(Clone, Debug, PartialEq, Serialize)]
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

impl<'de> Deserialize<'de> for FieldValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reading)
    }
}

/// Reads a value as it stands there: every hit has many, and to try one form after the other would
/// copy each first.
struct Reading;

impl Visitor<'_> for Reading {
    type Value = FieldValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number or text")
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<FieldValue, E> {
        Ok(FieldValue::Number(number))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<FieldValue, E> {
        Ok(FieldValue::Number(number as f64))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<FieldValue, E> {
        Ok(FieldValue::Number(number as f64))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<FieldValue, E> {
        Ok(FieldValue::Text(text.to_owned()))
    }

    fn visit_string<E: de::Error>(self, text: String) -> Result<FieldValue, E> {
        Ok(FieldValue::Text(text))
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
    /// A document has at most 1000 fields and 10 000 values: what is over that is left out. First
    /// comes whether stock is available, then the columns that are fields, and last the members
    /// of attributes; each of the root's row first, and then of its children's by table and key.
    /// So a document is found by its names and identifiers however many attributes it has.
    ///
    /// # Errors
    /// [`SearchError::BadRow`] for a row that is not as the projection says.
    pub fn view(&self, document: &Document) -> Result<Option<View>, SearchError> {
        Ok(self.view_within_limits(document)?.0)
    }

    /// The view, and how many values were left out of it because of its limits.
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
            let mut of_stock = self
                .children_of(document)
                .filter(|(.., table)| table.name == stock.table);
            let available = of_stock.any(|(key, ..)| stock::is_available(document, &key.key));
            builder.value(&stock.in_stock, FieldValue::Text(available.to_string()));
        }
        for attributes in [false, true] {
            let kinds = |kind| (kind == FieldKind::Attributes) == attributes;
            let children = self.children_of(document);
            let rows = std::iter::once((root, &self.root))
                .chain(children.map(|(_, columns, table)| (columns, table)));
            for (columns, table) in rows {
                let sink = &mut |field: &str, value| builder.value(field, value);
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

/// Whether a row alone can be shown: so that a bad one is found before it is part of a document.
pub(crate) fn check_row(table: &Table, columns: &Columns) -> Result<(), SearchError> {
    fields::of_row(table, columns, |_| true, &mut |_, _| {})
}

#[derive(Default)]
struct Builder {
    view: View,
    seen: HashSet<(String, String)>,
    left_out: usize,
}

impl Builder {
    fn value(&mut self, field: &str, value: FieldValue) {
        // A number and text that reads the same are kept apart.
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
mod tests;
