//! A document as it is merged: the rows that it is made of, each with its own version.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use stockade_change_feed::debezium::Sequence;
use stockade_inventory_core::Version;

use crate::error::SearchError;

/// The version of the format of [`Document::encode`]. A newer one is refused.
const FORMAT_VERSION: u32 = 1;

/// Which document.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum DocumentId {
    /// The document of a root row, by its key: what is searched.
    Root(String),
    /// What is known of a SKU: whose it is and its stock, which may arrive before its owner.
    /// Never a hit.
    Sku(String),
    /// Up to which version a table was truncated. Never a hit.
    Truncation(String),
}

impl fmt::Display for DocumentId {
    /// `root:…`, `sku:…` or `truncation:…`, unique and fit for the id of an index.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root(key) => write!(f, "root:{key}"),
            Self::Sku(key) => write!(f, "sku:{key}"),
            Self::Truncation(key) => write!(f, "truncation:{key}"),
        }
    }
}

/// Orders the states of one row. Versions of different domains (rows, stock) are never compared.
///
/// As JSON it is a string of digits, because a JSON number does not keep 128 bits.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct RowVersion(pub u128);

impl fmt::Display for RowVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<RowVersion> for String {
    fn from(version: RowVersion) -> Self {
        version.0.to_string()
    }
}

impl TryFrom<String> for RowVersion {
    type Error = SearchError;

    fn try_from(digits: String) -> Result<Self, SearchError> {
        digits.parse().map(Self).map_err(|_| {
            SearchError::invalid("version", &digits, "it is a number of at most 128 bits")
        })
    }
}

impl From<u64> for RowVersion {
    fn from(version: u64) -> Self {
        Self(version.into())
    }
}

impl From<Sequence> for RowVersion {
    /// Ordered by the commit before the change, and then by the change's own place.
    fn from(sequence: Sequence) -> Self {
        let high = u128::from(sequence.last_commit.unwrap_or(0)) << 64;
        Self(high | u128::from(sequence.lsn.unwrap_or(0)))
    }
}

impl From<Version> for RowVersion {
    /// Ordered by the epoch, and then by the number.
    fn from(version: Version) -> Self {
        Self(u128::from(version.epoch) << 64 | u128::from(version.number))
    }
}

/// Which row of a document.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RowKey {
    /// The table.
    pub table: String,
    /// The row's key in it.
    pub key: String,
}

/// The newest state of a row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Its version.
    pub version: RowVersion,
    /// The columns that the projection takes; none once it is deleted.
    pub columns: Option<Map<String, Value>>,
}

/// A document as it is merged and stored: its rows. What is searched of it is its
/// [`View`](crate::View).
///
/// A document only grows: a deleted row stays as a tombstone, a key and a version without
/// columns, so that what comes late does not bring it back. A product whose variants come and go
/// for years keeps a tombstone for each, and each write carries all of them. An index that bounds
/// the size of a document refuses it in the end; a new generation, filled from the rows that are
/// there, begins without tombstones.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Which one.
    pub id: DocumentId,
    /// Its rows, deleted ones among them: they keep older changes out.
    pub rows: BTreeMap<RowKey, Row>,
    /// The newest version at which the root row was deleted: children are shown only if newer.
    pub root_deleted: Option<RowVersion>,
}

impl Document {
    /// A document without rows.
    #[must_use]
    pub fn new(id: DocumentId) -> Self {
        Self {
            id,
            rows: BTreeMap::new(),
            root_deleted: None,
        }
    }

    /// The rows as JSON, for an index to store beside the view.
    ///
    /// # Panics
    /// Never: rows are strings, digits and JSON.
    #[must_use]
    pub fn encode(&self) -> String {
        let format = Format {
            v: FORMAT_VERSION,
            root_deleted: self.root_deleted,
            rows: self.rows.iter().collect(),
        };
        serde_json::to_string(&format).expect("strings, digits and JSON always serialize")
    }

    /// The document that [`encode`](Self::encode) made this of.
    ///
    /// # Errors
    /// [`SearchError::Damaged`] for anything else, and for a newer format.
    pub fn decode(id: DocumentId, json: &str) -> Result<Self, SearchError> {
        let damaged = |reason: String| SearchError::Damaged {
            what: format!("document {id}: {reason}"),
        };
        let OnlyVersion { v } =
            serde_json::from_str(json).map_err(|error| damaged(error.to_string()))?;
        if v > FORMAT_VERSION {
            let reason = format!("format {v} is newer than {FORMAT_VERSION}; upgrade this process");
            return Err(damaged(reason));
        }
        let format: Format<(RowKey, Row)> =
            serde_json::from_str(json).map_err(|error| damaged(error.to_string()))?;
        Ok(Self {
            id,
            rows: format.rows.into_iter().collect(),
            root_deleted: format.root_deleted,
        })
    }
}

#[derive(Serialize, Deserialize)]
struct Format<R> {
    v: u32,
    root_deleted: Option<RowVersion>,
    rows: Vec<R>,
}

#[derive(Deserialize)]
struct OnlyVersion {
    v: u32,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_encoded_document_comes_back_as_it_was() {
        let mut document = Document::new(DocumentId::Root("p".to_owned()));
        document.root_deleted = Some(RowVersion(u128::MAX));
        let columns = json!({"price": 0.1 + 0.2, "title": "\u{0}é\"", "n": u64::MAX, "none": null});
        for (key, columns) in [("a", columns.as_object().cloned()), ("b", None)] {
            let key = RowKey {
                table: "t".to_owned(),
                key: key.to_owned(),
            };
            let version = RowVersion(1 << 100);
            document.rows.insert(key, Row { version, columns });
        }
        let decoded = Document::decode(document.id.clone(), &document.encode());
        assert_eq!(decoded.unwrap(), document);
    }

    #[test]
    fn what_is_no_document_is_damaged() {
        for json in [
            "",
            "{}",
            "[]",
            r#"{"v":2,"rows":[]}"#,
            r#"{"v":1,"rows":[[1]]}"#,
        ] {
            let decoded = Document::decode(DocumentId::Root("p".to_owned()), json);
            assert!(
                matches!(decoded, Err(SearchError::Damaged { .. })),
                "{json}"
            );
        }
    }
}
