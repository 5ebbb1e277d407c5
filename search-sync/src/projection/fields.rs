//! Turns the columns of a row into fields.

use serde_json::{Map, Value};
use stockade_change_feed::debezium::Columns;

use super::{Column, FieldKind, Table};
use crate::document::FieldValue;
use crate::error::SearchError;

/// Longer text is cut at this length, in bytes.
const MOST_TEXT: usize = 32 * 1024;
/// Longer keywords and identifiers are left out, in bytes: nobody selects one from a list.
const MOST_KEYWORD: usize = 8 * 1024;
/// Members of attributes with a longer path are left out, in bytes.
pub(super) const MOST_NAME: usize = 256;

/// Receives the values of fields, one at a time.
pub(super) type Sink<'a> = &'a mut dyn FnMut(&str, FieldValue);

/// Passes the values of a row's columns of certain kinds to `sink`.
///
/// # Errors
/// [`SearchError::BadRow`] for a column whose value does not fit the kind of its field.
pub(super) fn of_row(
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
            let text = scalar(value).ok_or("it must be text")?;
            sink(field, FieldValue::Text(cut(text)));
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
            let parsed = json(value).ok_or(REASON)?;
            members(field, parsed.as_object().ok_or(REASON)?, sink);
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

/// The values of an object's members. The JSON parser bounds the depth of the recursion.
fn members(prefix: &str, object: &Map<String, Value>, sink: Sink<'_>) {
    for (name, value) in object {
        let field = format!("{prefix}.{name}");
        if !name.is_empty() && field.len() <= MOST_NAME {
            member(&field, value, sink);
        }
    }
}

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
        Value::Object(object) => members(field, object, sink),
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

fn cut(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(MOST_TEXT));
    text
}
