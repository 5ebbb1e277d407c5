//! The order of hits, and where a page of them begins: for indexes that order by themselves.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::cursor::PageEnd;
use crate::error::SearchError;
use crate::query::{Order, SearchQuery, Sort};
use crate::view::FieldValue;

/// No word is so rare that it weighs more.
const MOST_RARITY: f64 = 100.0;

/// A hit's place in the order.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// What it is ordered by: its score, or the value of the field that it is sorted by. Hits
    /// without one stand last.
    pub value: Option<FieldValue>,
    /// Its key, which breaks ties.
    pub key: String,
}

/// Where a page begins: after the end of the one before.
#[derive(Clone, Debug, PartialEq)]
pub struct Begin {
    /// The last hit of the page before.
    pub place: Place,
    /// Words keep the rarity that they had on the first page, so that documents which come
    /// between do not change the order of the others. Empty where scores do not order.
    pub rarities: Vec<f64>,
    /// Words that were [known](crate::analysis::Typed::with_known) on the first page stay so, and
    /// no others come to be: it decides what is found. None in the cursor of an older version.
    pub known: Option<Vec<usize>>,
}

/// The place in a cursor.
#[derive(Serialize, Deserialize)]
struct Stored {
    at: Option<FieldValue>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    rarities: Vec<f64>,
    #[serde(default)]
    known: Option<Vec<usize>>,
}

impl Place {
    /// Which of two hits stands first.
    #[must_use]
    pub fn compare(&self, other: &Self, sort: &Sort) -> Ordering {
        let values = match (&self.value, &other.value) {
            (None, None) => Ordering::Equal,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(a), Some(b)) => match sort {
                Sort::Field {
                    order: Order::Ascending,
                    ..
                } => compare(a, b),
                Sort::Relevance | Sort::Field { .. } => compare(b, a),
            },
        };
        values.then_with(|| self.key.cmp(&other.key))
    }

    /// The cursor of the page that begins after this place, with how the words were read: how rare
    /// they are, and which of them are known.
    ///
    /// # Panics
    /// Never: it is numbers and text.
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
        let place = serde_json::to_value(stored).expect("numbers and text always serialize");
        PageEnd::new(place, self.key.as_str()).encode(sort)
    }
}

impl Begin {
    /// Where the page that a query asks for begins: `None` for the first one. `words` is how many
    /// words of its text count.
    ///
    /// # Errors
    /// [`SearchError::Invalid`] for what is no cursor of an earlier page of the same query.
    pub fn of(query: &SearchQuery, words: usize) -> Result<Option<Self>, SearchError> {
        let Some(cursor) = &query.cursor else {
            return Ok(None);
        };
        let invalid = || {
            let reason = "it has to be the cursor of an earlier page of the same query";
            SearchError::invalid("cursor", cursor, reason)
        };
        let PageEnd { place, key } = PageEnd::decode(cursor, &query.sort)?;
        let stored = serde_json::from_value(place).map_err(|_| invalid())?;
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
        let place = Place { value: at, key };
        Ok(Some(Self {
            place,
            rarities,
            known,
        }))
    }
}

/// Numbers stand before text.
pub(crate) fn compare(a: &FieldValue, b: &FieldValue) -> Ordering {
    match (a, b) {
        (FieldValue::Number(a), FieldValue::Number(b)) => a.total_cmp(b),
        (FieldValue::Text(a), FieldValue::Text(b)) => a.cmp(b),
        (FieldValue::Number(_), FieldValue::Text(_)) => Ordering::Less,
        (FieldValue::Text(_), FieldValue::Number(_)) => Ordering::Greater,
    }
}
