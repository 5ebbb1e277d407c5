//! A document as it is merged and stored: the rows that it is made of, each with its own version.

mod id;
mod row;
mod view;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::SearchError;

pub use id::DocumentId;
pub use row::{Merged, Row, RowEdit, RowKey, RowVersion};
pub use view::{FieldValue, View};

/// The version of the format of [`Document::encode`]. [`Document::decode`] refuses a newer one.
const FORMAT_VERSION: u32 = 1;

/// A document as it is merged and stored: its rows. Its [`View`] is what users search.
///
/// A document only grows. A deleted row stays as a tombstone, which is a key and a version without
/// columns, so that a change that arrives late does not bring the row back. A product whose
/// variants change for years keeps a tombstone for each variant, and each write contains all
/// tombstones. An index that limits the size of a document refuses such a document in the end. A
/// new generation is filled from the existing rows, so it starts without tombstones.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Its id.
    pub id: DocumentId,
    /// Its rows, including the deleted ones.
    pub rows: BTreeMap<RowKey, Row>,
    /// The newest version at which the root row was deleted: children are shown only if they are
    /// newer.
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

    /// Merges the state of a row: the higher version wins. If the versions are equal, a deletion
    /// wins.
    pub fn merge(&mut self, key: &RowKey, row: &Row) -> Merged {
        let rank = |row: &Row| (row.version, row.columns.is_none());
        let known = self.rows.get(key);
        if known.is_some_and(|known| rank(known) >= rank(row)) {
            return Merged::Unchanged;
        }
        self.rows.insert(key.clone(), row.clone());
        Merged::Changed
    }

    /// The rows as JSON, for an index to store with the view.
    ///
    /// # Panics
    /// Never: strings, digits and JSON always serialize.
    #[must_use]
    pub fn encode(&self) -> String {
        let format = Format {
            v: FORMAT_VERSION,
            root_deleted: self.root_deleted,
            rows: self.rows.iter().collect(),
        };
        serde_json::to_string(&format).expect("strings, digits and JSON always serialize")
    }

    /// The document that [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// [`SearchError::Damaged`] for any other text, and for a newer format.
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
    fn a_decoded_document_equals_the_encoded_one() {
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
    fn other_text_is_damaged() {
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
