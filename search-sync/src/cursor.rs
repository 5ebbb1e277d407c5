//! Where a page of hits ended, as an opaque text.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::SearchError;
use crate::query::{Order, Sort};

/// The longest cursor, in bytes.
const MOST: usize = 128 * 1024;

/// Where a page of hits ended: for indexes, which give it to callers as text.
#[derive(Clone, Debug, PartialEq)]
pub struct PageEnd {
    /// The last hit's place in the order, in a form that the index chooses.
    pub place: Value,
    /// The last hit's key, which breaks ties.
    pub key: String,
}

impl PageEnd {
    /// A place in the order and a key.
    #[must_use]
    pub fn new(place: Value, key: impl Into<String>) -> Self {
        Self {
            place,
            key: key.into(),
        }
    }

    /// As text, for the `next` of a page in this order.
    ///
    /// # Panics
    /// Never: it is JSON and strings.
    #[must_use]
    pub fn encode(&self, sort: &Sort) -> String {
        let Self { place, key } = self.clone();
        let sort = name(sort);
        let format = Format { sort, place, key };
        let json = serde_json::to_vec(&format).expect("JSON and strings always serialize");
        json.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Reads the cursor of a query in this order.
    ///
    /// # Errors
    /// [`SearchError::Invalid`] for what [`encode`](Self::encode) did not make, or made in
    /// another order. What the place holds is for the index to check: callers may forge it.
    pub fn decode(cursor: &str, sort: &Sort) -> Result<Self, SearchError> {
        let invalid = |reason: &str| SearchError::invalid("cursor", cursor, reason);
        const REASON: &str = "it has to be the cursor of an earlier page, unchanged";
        let bytes = unhex(cursor).ok_or_else(|| invalid(REASON))?;
        let format: Format = serde_json::from_slice(&bytes).map_err(|_| invalid(REASON))?;
        if format.sort != name(sort) {
            let reason = "it has to be used with the order that its page was in";
            return Err(invalid(reason));
        }
        let Format { place, key, .. } = format;
        Ok(Self { place, key })
    }
}

#[derive(Serialize, Deserialize)]
struct Format {
    #[serde(rename = "s")]
    sort: String,
    #[serde(rename = "p")]
    place: Value,
    #[serde(rename = "k")]
    key: String,
}

fn name(sort: &Sort) -> String {
    match sort {
        Sort::Relevance => String::new(),
        Sort::Field { field, order } => match order {
            Order::Ascending => format!("+{field}"),
            Order::Descending => format!("-{field}"),
        },
    }
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if text.len() > MOST || !text.len().is_multiple_of(2) {
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
    fn a_cursor_belongs_to_its_order() {
        let by = |order| Sort::Field {
            field: "price".to_owned(),
            order,
        };
        let end = PageEnd::new(json!([0.1 + 0.2, null, "é"]), "p-1");
        let cursor = end.encode(&by(Order::Ascending));
        assert_eq!(
            PageEnd::decode(&cursor, &by(Order::Ascending)).unwrap(),
            end
        );
        for other in [Sort::Relevance, by(Order::Descending)] {
            assert!(PageEnd::decode(&cursor, &other).is_err());
        }
    }

    proptest! {
        #[test]
        fn what_is_no_cursor_is_invalid(text in any::<String>(), hex in "[0-9a-f]{0,60}") {
            for cursor in [text, hex, "0".repeat(200_000)] {
                prop_assert!(PageEnd::decode(&cursor, &Sort::Relevance).is_err());
            }
        }
    }
}
