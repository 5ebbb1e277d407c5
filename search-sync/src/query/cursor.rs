//! Where a page of hits ended, as opaque text.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Sort, SortOrder};
use crate::error::SearchError;

/// The longest cursor, in bytes.
const LONGEST: usize = 128 * 1024;

/// Where a page of hits ended. An index returns it to callers as text, the cursor.
#[derive(Clone, Debug, PartialEq)]
pub struct PageEnd {
    /// The position of the last hit in the order, in a form that the index defines.
    pub position: Value,
    /// The key of the last hit, which orders equal hits.
    pub key: String,
}

impl PageEnd {
    /// A position in the order and a key.
    #[must_use]
    pub fn new(position: Value, key: impl Into<String>) -> Self {
        Self {
            position,
            key: key.into(),
        }
    }

    /// The cursor, for [`SearchPage::next`](super::SearchPage::next) of a page in this order.
    ///
    /// # Panics
    /// Never: JSON and strings always serialize.
    #[must_use]
    pub fn encode(&self, sort: &Sort) -> String {
        let Self { position, key } = self.clone();
        let sort = name(sort);
        let format = Format {
            sort,
            position,
            key,
        };
        let json = serde_json::to_vec(&format).expect("JSON and strings always serialize");
        json.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Reads the cursor of a query in this order.
    ///
    /// # Errors
    /// [`SearchError::Invalid`] for a text that [`encode`](Self::encode) did not make, or made in
    /// another order. The index must check the position itself, because callers can forge it.
    pub fn decode(cursor: &str, sort: &Sort) -> Result<Self, SearchError> {
        let invalid = |reason: &str| SearchError::invalid("cursor", cursor, reason);
        const REASON: &str = "it must be the cursor of an earlier page, unchanged";
        let bytes = unhex(cursor).ok_or_else(|| invalid(REASON))?;
        let format: Format = serde_json::from_slice(&bytes).map_err(|_| invalid(REASON))?;
        if format.sort != name(sort) {
            let reason = "it must be used with the sort order of its page";
            return Err(invalid(reason));
        }
        let Format { position, key, .. } = format;
        Ok(Self { position, key })
    }
}

#[derive(Serialize, Deserialize)]
struct Format {
    #[serde(rename = "s")]
    sort: String,
    #[serde(rename = "p")]
    position: Value,
    #[serde(rename = "k")]
    key: String,
}

fn name(sort: &Sort) -> String {
    match sort {
        Sort::Relevance => String::new(),
        Sort::Field { field, order } => match order {
            SortOrder::Ascending => format!("+{field}"),
            SortOrder::Descending => format!("-{field}"),
        },
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if text.len() > LONGEST || !text.len().is_multiple_of(2) {
        return None;
    }
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = text.as_bytes().chunks_exact(2);
    pairs
        .map(|pair| u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_cursor_is_valid_only_in_its_sort_order() {
        let by = |order| Sort::Field {
            field: "price".to_owned(),
            order,
        };
        let end = PageEnd::new(json!([0.1 + 0.2, null, "é"]), "p-1");
        let cursor = end.encode(&by(SortOrder::Ascending));
        assert_eq!(
            PageEnd::decode(&cursor, &by(SortOrder::Ascending)).unwrap(),
            end
        );
        for other in [Sort::Relevance, by(SortOrder::Descending)] {
            assert!(PageEnd::decode(&cursor, &other).is_err());
        }
    }

    proptest! {
        #[test]
        fn any_other_text_is_invalid(text in any::<String>(), hex in "[0-9a-f]{0,60}") {
            for cursor in [text, hex, "0".repeat(200_000)] {
                prop_assert!(PageEnd::decode(&cursor, &Sort::Relevance).is_err());
            }
        }
    }
}
