//! The searched part of a document: the columns of its rows, as fields.

use std::collections::HashSet;

use serde_json::Value;
use stockade_change_feed::debezium::Columns;

use super::{Column, FieldKind, Projection, Table, stock};
use crate::document::{Document, DocumentId, FieldValue, RowKey, View};
use crate::error::SearchError;

/// Most fields of a document.
const MOST_FIELDS: usize = 1_000;
/// Most values of all fields of a document together.
const MOST_VALUES: usize = 10_000;
/// Longer text is cut at this length, in bytes.
const MOST_TEXT: usize = 32 * 1024;
/// Longer keywords and identifiers are left out, in bytes: nobody selects one from a list.
const MOST_KEYWORD: usize = 8 * 1024;
/// Members of attributes with a longer path are left out, in bytes.
pub(super) const MOST_NAME: usize = 256;

/// Receives the values of fields, one at a time.
type Sink<'a> = &'a mut dyn FnMut(&str, FieldValue);

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
                fields_of(table, columns, kinds, sink)?;
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

/// Passes the values of a row's columns of certain kinds to `sink`.
///
/// # Errors
/// [`SearchError::BadRow`] for a column whose value does not fit the kind of its field.
pub(super) fn fields_of(
    table: &Table,
    row: &Columns,
    kinds: impl Fn(FieldKind) -> bool,
    sink: Sink<'_>,
) -> Result<(), SearchError> {
    for column in table.columns.iter().filter(|column| kinds(column.kind)) {
        if let Some(value) = row.get(&column.name).filter(|value| !value.is_null()) {
            of_column(column, value, sink).map_err(|reason| table.bad(&column.name, reason))?;
        }
    }
    Ok(())
}

fn of_column(column: &Column, value: &Value, sink: Sink<'_>) -> Result<(), &'static str> {
    let field = column.field.as_str();
    match column.kind {
        FieldKind::Text { .. } => {
            let mut text = scalar(value).ok_or("it must be text")?;
            text.truncate(text.floor_char_boundary(MOST_TEXT));
            sink(field, FieldValue::Text(text));
        }
        FieldKind::Identifier | FieldKind::Keyword => {
            let text = scalar(value).ok_or("it must be text, a number or a boolean")?;
            keyword(field, text, sink);
        }
        FieldKind::Keywords => {
            const REASON: &str = "it must be a JSON array of text, numbers and booleans";
            let parsed = json(value).ok_or(REASON)?;
            for value in parsed.as_array().ok_or(REASON)? {
                if !value.is_null() {
                    keyword(field, scalar(value).ok_or(REASON)?, sink);
                }
            }
        }
        FieldKind::Number => {
            let text = || value.as_str().and_then(|text| text.trim().parse().ok());
            let number: f64 = value.as_f64().or_else(text).ok_or("it must be a number")?;
            sink(
                field,
                FieldValue::number(number).ok_or("it must be finite")?,
            );
        }
        FieldKind::Attributes => {
            const REASON: &str = "it must be a JSON object";
            let parsed = json(value).filter(Value::is_object).ok_or(REASON)?;
            member(field, &parsed, sink);
        }
        FieldKind::Stored => {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            sink(field, FieldValue::Text(text));
        }
    }
    Ok(())
}

/// The values of a member of attributes, and of its own members. The JSON parser bounds the depth of
/// the recursion.
fn member(field: &str, value: &Value, sink: Sink<'_>) {
    match value {
        Value::Null => {}
        Value::Bool(value) => sink(field, FieldValue::Text(value.to_string())),
        Value::Number(number) => {
            if let Some(number) = number.as_f64().and_then(FieldValue::number) {
                sink(field, number);
            }
        }
        Value::String(text) => keyword(field, text.clone(), sink),
        Value::Array(values) => values.iter().for_each(|value| member(field, value, sink)),
        Value::Object(object) => {
            for (name, value) in object {
                let field = format!("{field}.{name}");
                if !name.is_empty() && field.len() <= MOST_NAME {
                    member(&field, value, sink);
                }
            }
        }
    }
}

fn keyword(field: &str, text: String, sink: Sink<'_>) {
    if !text.is_empty() && text.len() <= MOST_KEYWORD {
        sink(field, FieldValue::Text(text));
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// JSON itself, or JSON in a string: Debezium writes JSONB columns as strings.
fn json(value: &Value) -> Option<Value> {
    match value {
        Value::String(text) => serde_json::from_str(text).ok(),
        other => Some(other.clone()),
    }
}

#[cfg(test)]
#[path = "view_tests.rs"]
mod tests;
