//! What is searched of a document: fields with values.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

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
