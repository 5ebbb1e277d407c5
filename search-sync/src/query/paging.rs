//! The order of hits and the start of pages: for indexes that sort hits themselves.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::cursor::PageEnd;
use super::{SearchQuery, Sort, SortOrder};
use crate::document::FieldValue;
use crate::error::SearchError;

/// The largest rarity that a cursor may contain.
const MOST_RARITY: f64 = 100.0;

/// The values that a hit is sorted by.
#[derive(Clone, Debug, PartialEq)]
pub struct SortKey {
    /// The hit's score, or its value in the field that hits are sorted by. Hits without a value
    /// come last.
    pub value: Option<FieldValue>,
    /// The hit's key, which orders equal hits.
    pub key: String,
}

/// Where a page starts: after the last hit of the previous page.
#[derive(Clone, Debug, PartialEq)]
pub struct PageStart {
    /// The sort key of that hit.
    pub after: SortKey,
    /// The rarity of each word on the first page. All pages use it, so that documents written in
    /// between do not change the order of the others. Empty if hits are not sorted by score.
    pub rarities: Vec<f64>,
    /// The positions of the words that were [known](crate::analysis::QueryText::with_known) on the
    /// first page. All pages use them, because they decide what matches. `None` in the cursor of
    /// an older version of this crate.
    pub known: Option<Vec<usize>>,
}

/// What a cursor contains.
#[derive(Serialize, Deserialize)]
struct Stored {
    at: Option<FieldValue>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    rarities: Vec<f64>,
    #[serde(default)]
    known: Option<Vec<usize>>,
}

impl SortKey {
    /// Which of two hits comes first.
    #[must_use]
    pub fn compare(&self, other: &Self, sort: &Sort) -> Ordering {
        let values = match (&self.value, &other.value) {
            (None, None) => Ordering::Equal,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => match sort {
                Sort::Field {
                    order: SortOrder::Ascending,
                    ..
                } => compare(a, b),
                Sort::Relevance | Sort::Field { .. } => compare(b, a),
            },
        };
        values.then_with(|| self.key.cmp(&other.key))
    }

    /// The cursor of the page that starts after this hit. For `rarities` and `known` of the first
    /// page, see [`PageStart`].
    ///
    /// # Panics
    /// Never: numbers and text always serialize.
    #[must_use]
    pub fn encode(&self, sort: &Sort, rarities: Vec<f64>, known: Vec<usize>) -> String {
        let stored = Stored {
            at: self.value.clone(),
            rarities: match sort {
                Sort::Relevance => rarities,
                Sort::Field { .. } => Vec::new(),
            },
            known: Some(known),
        };
        let position = serde_json::to_value(stored).expect("numbers and text always serialize");
        PageEnd::new(position, self.key.as_str()).encode(sort)
    }
}

impl PageStart {
    /// Where the page of a query starts: `None` for the first page. `words` is the number of words
    /// in the query's text that count.
    ///
    /// # Errors
    /// [`SearchError::Invalid`] if the cursor is not one of an earlier page of the same query.
    pub fn of(query: &SearchQuery, words: usize) -> Result<Option<Self>, SearchError> {
        let Some(cursor) = &query.cursor else {
            return Ok(None);
        };
        let invalid = || {
            let reason = "it must be the cursor of an earlier page of the same query";
            SearchError::invalid("cursor", cursor, reason)
        };
        let PageEnd { position, key } = PageEnd::decode(cursor, &query.sort)?;
        let stored = serde_json::from_value(position).map_err(|_| invalid())?;
        let Stored {
            at,
            rarities,
            known,
        } = stored;
        let expected = match &query.sort {
            Sort::Relevance => words,
            Sort::Field { .. } => 0,
        };
        let sound = |rarity: &f64| (0.0..=MOST_RARITY).contains(rarity);
        let are_words = known.iter().flatten().all(|at| *at < words);
        if rarities.len() != expected || !rarities.iter().all(sound) || !are_words {
            return Err(invalid());
        }
        let after = SortKey { value: at, key };
        Ok(Some(Self {
            after,
            rarities,
            known,
        }))
    }
}

/// Numbers come before text.
pub(crate) fn compare(a: &FieldValue, b: &FieldValue) -> Ordering {
    match (a, b) {
        (FieldValue::Number(a), FieldValue::Number(b)) => a.total_cmp(b),
        (FieldValue::Text(a), FieldValue::Text(b)) => a.cmp(b),
        (FieldValue::Number(_), FieldValue::Text(_)) => Ordering::Less,
        (FieldValue::Text(_), FieldValue::Number(_)) => Ordering::Greater,
    }
}
