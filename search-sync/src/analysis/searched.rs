//! What of a view is searched by words, and with which weight.

use std::collections::HashMap;
use std::ops::Range;

use super::{Typed, Word, fold, words};
use crate::projection::{FieldKind, Projection};
use crate::query::Highlight;
use crate::view::{FieldValue, View};

/// A view as it is searched by text.
#[derive(Clone, Debug, Default)]
pub struct Searched {
    /// The values whose words are searched.
    pub texts: Vec<Text>,
    /// The identifiers, [folded](fold).
    pub identifiers: Vec<String>,
}

/// One value of a field whose words are searched.
#[derive(Clone, Debug)]
pub struct Text {
    /// The field.
    pub field: String,
    /// Which of its values.
    pub value: usize,
    /// How much a match counts.
    pub weight: f64,
    /// The words.
    pub words: Vec<Word>,
    /// Neighbours, each written as one word, where people write them together or apart:
    /// `t-shirt` and `head phones`. Running text has none.
    pub pairs: Vec<Word>,
    shown: Shown,
}

/// Whether the words are those of the value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    AsWritten,
    /// They are the name of an attribute, and stand nowhere in its value.
    ByName,
}

impl Searched {
    /// What is searched of a view.
    ///
    /// Text is searched with the [weight](Projection::weight_of) of its field. A number of
    /// [`FieldKind::Attributes`] is searched together with the attribute's name, so that
    /// `55 inches` finds `{"diagonal_inches": 55}`, and an attribute that is `true` by its name.
    #[must_use]
    pub fn new(view: &View, projection: &Projection) -> Self {
        let mut searched = Self::default();
        for (field, values) in &view.fields {
            let Some(weight) = projection.weight_of(field) else {
                continue;
            };
            let kind = projection.kind_of(field);
            for (value, content) in values.iter().enumerate() {
                if let (Some(FieldKind::Identifier), FieldValue::Text(text)) = (kind, content) {
                    searched.identifiers.push(fold(text));
                }
                let is_attribute = kind == Some(FieldKind::Attributes);
                let (words, shown) = match content {
                    FieldValue::Text(text) if is_attribute && text == "false" => continue,
                    FieldValue::Text(text) if is_attribute && text == "true" => {
                        (words(member(field)), Shown::ByName)
                    }
                    FieldValue::Text(text) => (words(text), Shown::AsWritten),
                    FieldValue::Number(number) if is_attribute => {
                        (number_with_unit(*number, field), Shown::ByName)
                    }
                    FieldValue::Number(_) => continue,
                };
                let running = matches!(kind, Some(FieldKind::Text { .. }));
                let pairs = match running && *field != projection.title {
                    true => Vec::new(),
                    false => pairs(&words),
                };
                searched.texts.push(Text {
                    field: field.clone(),
                    value,
                    weight,
                    words,
                    pairs,
                    shown,
                });
            }
        }
        searched
    }
}

/// Finds where views match what was typed.
#[derive(Clone, Debug)]
pub struct Highlighter<'a> {
    typed: &'a Typed,
    /// Of words that came before, whether they match: views have many in common.
    words: HashMap<String, Matches>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Matches {
    Yes,
    No,
}

impl<'a> Highlighter<'a> {
    /// For what was typed.
    #[must_use]
    pub fn new(typed: &'a Typed) -> Self {
        Self {
            typed,
            words: HashMap::new(),
        }
    }

    /// Where a view matches: of each field the first value that does, the weightiest field first.
    #[must_use]
    pub fn highlights(&mut self, view: &View, searched: &Searched) -> Vec<Highlight> {
        let texts = searched.texts.iter();
        let mut texts: Vec<_> = texts
            .filter(|text| text.shown == Shown::AsWritten)
            .collect();
        texts.sort_by(|a, b| b.weight.total_cmp(&a.weight));
        let mut highlights: Vec<Highlight> = Vec::new();
        for text in texts {
            let values = view.fields.get(&text.field);
            let Some(FieldValue::Text(whole)) = values.and_then(|values| values.get(text.value))
            else {
                continue;
            };
            if highlights.iter().any(|known| known.field == text.field) {
                continue;
            }
            let matches = self.matches(text);
            if !matches.is_empty() {
                highlights.push(super::highlight::highlight(&text.field, whole, &matches));
            }
        }
        highlights
    }

    fn matches(&mut self, text: &Text) -> Vec<Range<usize>> {
        let words = text.words.iter().filter(|word| self.is_match(&word.text));
        let mut ranges: Vec<_> = words.map(|word| word.range.clone()).collect();
        let places = 0..self.typed.len();
        let is_pair = |pair: &&Word| {
            let mut places = places.clone();
            places.any(|at| self.typed.quality_of_pair(at, &pair.text) > 0.0)
        };
        let pairs = text.pairs.iter().filter(is_pair);
        ranges.extend(pairs.map(|pair| pair.range.clone()));
        ranges.sort_by_key(|range| (range.start, range.end));
        ranges
    }

    fn is_match(&mut self, word: &str) -> bool {
        let known = self.words.get(word).copied();
        let matches = known.unwrap_or_else(|| {
            let mut places = 0..self.typed.len();
            let matches = match places.any(|at| self.typed.quality(at, word) > 0.0) {
                true => Matches::Yes,
                false => Matches::No,
            };
            self.words.insert(word.to_owned(), matches);
            matches
        });
        matches == Matches::Yes
    }
}

impl Projection {
    /// How much a match in a field counts: its own weight for text; 2 for a
    /// [`FieldKind::Keyword`] that is a column of its own, such as a brand; 1 for the values of
    /// [`FieldKind::Keywords`], the members of [`FieldKind::Attributes`] and the words of an
    /// [`FieldKind::Identifier`]. `None` where words are not searched.
    #[must_use]
    pub fn weight_of(&self, field: &str) -> Option<f64> {
        let stock = self.stock.as_ref().map(|stock| stock.in_stock.as_str());
        match self.kind_of(field)? {
            _ if stock == Some(field) => None,
            FieldKind::Text { weight } => Some(f64::from(weight)),
            FieldKind::Keyword => Some(2.0),
            FieldKind::Identifier | FieldKind::Keywords | FieldKind::Attributes => Some(1.0),
            FieldKind::Number | FieldKind::Stored => None,
        }
    }

    /// Every weight that [`weight_of`](Self::weight_of) gives, the greatest first.
    #[must_use]
    pub fn weights(&self) -> Vec<f64> {
        let columns = self.columns().filter_map(|column| match column.kind {
            FieldKind::Attributes => Some(1.0),
            _ => self.weight_of(&column.field),
        });
        let mut weights: Vec<f64> = columns.collect();
        weights.sort_by(|a, b| b.total_cmp(a));
        weights.dedup();
        weights
    }
}

/// The last part of an attribute's path.
fn member(field: &str) -> &str {
    field.rsplit('.').next().unwrap_or(field)
}

/// A number, its unit, which stands last in the attribute's name, and then the rest of the name.
fn number_with_unit(number: f64, field: &str) -> Vec<Word> {
    let mut name = words(member(field));
    let unit = usize::from(!name.is_empty());
    name.rotate_right(unit);
    let number = words(&number.to_string());
    number.into_iter().chain(name).collect()
}

fn pairs(words: &[Word]) -> Vec<Word> {
    let pair = |pair: &[Word]| Word {
        text: format!("{}{}", pair[0].text, pair[1].text),
        range: pair[0].range.start..pair[1].range.end.max(pair[0].range.end),
    };
    words.windows(2).map(pair).collect()
}
