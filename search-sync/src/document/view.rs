//! The searched part of a document: fields with values.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// The searched part of a document: its fields, each with its values in order. The values of all
/// child rows are in one list, without duplicates.
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
        deserializer.deserialize_any(NumberOrText)
    }
}

/// Reads a number or text directly. A derived untagged enum would copy each value first, and every
/// hit has many values.
struct NumberOrText;

impl Visitor<'_> for NumberOrText {
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
    /// The form that facets use: text unchanged, a number in its shortest form, such as `6` and
    /// `0.25`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}
