//! The captured tables, and how their rows are published.

use serde_json::Value;
#[cfg(feature = "catalog")]
use stockade_catalog_core::rows;
use stockade_change_feed::Topic;
use stockade_change_feed::debezium::Columns;

#[cfg(feature = "catalog")]
use crate::names::Schema;

/// A table whose row changes are captured.
#[derive(Clone, Debug)]
pub struct CapturedTable {
    pub(super) schema: String,
    pub(super) table: String,
    shown: (String, String),
    pub(super) topic: Topic,
    key: Vec<String>,
    /// Whether a trigger deletes the rows before a truncation, so that the truncation itself has
    /// nothing to tell.
    pub(super) deletes_before_truncate: bool,
}

impl CapturedTable {
    /// A table whose changes go to `topic`. These columns are the key of its records: equal keys
    /// share a partition and keep their order.
    pub fn new(
        schema: impl Into<String>,
        table: impl Into<String>,
        topic: Topic,
        key: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        let (schema, table) = (schema.into(), table.into());
        Self {
            shown: (schema.clone(), table.clone()),
            schema,
            table,
            topic,
            key: key.into_iter().map(Into::into).collect(),
            deletes_before_truncate: false,
        }
    }

    /// Publishes the changes under another schema and table name.
    #[must_use]
    pub fn shown_as(mut self, schema: impl Into<String>, table: impl Into<String>) -> Self {
        self.shown = (schema.into(), table.into());
        self
    }

    /// The tables of the catalogue in this schema. Their changes are published under the schema
    /// `catalog`, which the projection of search uses.
    #[cfg(feature = "catalog")]
    pub(super) fn of_catalog(schema: &Schema) -> Vec<Self> {
        let table = |name: &str| {
            let (topic, key) = (rows::catalog_changes(), ["product_id"]);
            Self {
                deletes_before_truncate: true,
                ..Self::new(schema.as_str(), name, topic, key).shown_as(rows::SCHEMA, name)
            }
        };
        vec![table(rows::PRODUCTS), table(rows::VARIANTS)]
    }

    /// The published schema and table name.
    pub(super) fn shown(&self) -> (String, String) {
        self.shown.clone()
    }

    /// Its name in SQL.
    pub(super) fn quoted(&self) -> String {
        format!("{}.{}", quoted(&self.schema), quoted(&self.table))
    }

    /// Whether an update changes the key of the row's records. Without whole old rows, the old row
    /// may lack a column of the key: then the update counts as one that does not change the key.
    pub(super) fn changes_key(&self, before: &Columns, after: &Columns) -> bool {
        let is_known = self.key.iter().all(|name| before.contains_key(name));
        is_known
            && self
                .key
                .iter()
                .any(|name| before.get(name) != after.get(name))
    }

    /// The key of a row's records.
    pub(super) fn key(&self, row: &Columns) -> String {
        let column = |name: &String| {
            let value = row.get(name).cloned().unwrap_or(Value::Null);
            (name.clone(), value)
        };
        let key: Columns = self.key.iter().map(column).collect();
        Value::Object(key).to_string()
    }
}

/// A quoted name for SQL.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
