//! The order of hits, and where a page of them begins.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::cursor::PageEnd;
use crate::error::SearchError;
use crate::query::{Order, SearchQuery, Sort};
use crate::view::{FieldValue, View};

/// No word is so rare that it weighs more.
const MOST_RARITY: f64 = 100.0;

/// A hit's place in the order.
pub(super) struct Place {
    value: Option<FieldValue>,
    key: String,
}

/// Where a page begins: after the end of the one before.
pub(super) struct Begin {
    pub(super) place: Place,
    /// Words keep the rarity that they had on the first page, so that documents which come
    /// between do not change the order of the others. Empty where scores do not order.
    pub(super) rarities: Vec<f64>,
}

/// The place in a cursor.
#[derive(Serialize, Deserialize)]
struct Stored {
    at: Option<FieldValue>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    rarities: Vec<f64>,
}

impl Place {
    pub(super) fn of(sort: &Sort, score: f64, key: &str, view: &View) -> Self {
        let value = match sort {
            Sort::Relevance => FieldValue::number(score),
            Sort::Field { field, order } => {
                let values = view.fields.get(field).into_iter().flatten();
                match order {
                    Order::Ascending => values.min_by(|a, b| compare(a, b)),
                    Order::Descending => values.max_by(|a, b| compare(a, b)),
                }
                .cloned()
            }
        };
        Self {
            value,
            key: key.to_owned(),
        }
    }

    pub(super) fn compare(&self, other: &Self, sort: &Sort) -> Ordering {
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

    pub(super) fn encode(&self, sort: &Sort, rarities: Vec<f64>) -> String {
        let stored = Stored {
            at: self.value.clone(),
            rarities: match sort {
                Sort::Relevance => rarities,
                Sort::Field { .. } => Vec::new(),
            },
        };
        let place = serde_json::to_value(stored).expect("numbers and text always serialize");
        PageEnd::new(place, self.key.as_str()).encode(sort)
    }
}

impl Begin {
    pub(super) fn of(query: &SearchQuery, words: usize) -> Result<Option<Self>, SearchError> {
        let Some(cursor) = &query.cursor else {
            return Ok(None);
        };
        let invalid = || {
            let reason = "it has to be the cursor of an earlier page of the same query";
            SearchError::invalid("cursor", cursor, reason)
        };
        let PageEnd { place, key } = PageEnd::decode(cursor, &query.sort)?;
        let Stored { at, rarities } = serde_json::from_value(place).map_err(|_| invalid())?;
        let expected = match &query.sort {
            Sort::Relevance => words,
            Sort::Field { .. } => 0,
        };
        let sound = |rarity: &f64| (0.0..=MOST_RARITY).contains(rarity);
        if rarities.len() != expected || !rarities.iter().all(sound) {
            return Err(invalid());
        }
        let place = Place { value: at, key };
        Ok(Some(Self { place, rarities }))
    }
}

/// Numbers stand before text.
fn compare(a: &FieldValue, b: &FieldValue) -> Ordering {
    match (a, b) {
        (FieldValue::Number(a), FieldValue::Number(b)) => a.total_cmp(b),
        (FieldValue::Text(a), FieldValue::Text(b)) => a.cmp(b),
        (FieldValue::Number(_), FieldValue::Text(_)) => Ordering::Less,
        (FieldValue::Text(_), FieldValue::Number(_)) => Ordering::Greater,
    }
}
