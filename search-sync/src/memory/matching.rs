//! Which documents a text matches, and how well.

use std::ops::Range;

use strsim::osa_distance;

use crate::analysis::{Word, fold, words};
use crate::projection::{FieldKind, Projection};
use crate::view::{FieldValue, View};

/// Only so many words of a query count.
const MOST_WORDS: usize = 20;
/// What a match counts, compared with the same word.
const BEGINNING: f64 = 0.5;
const TYPO: f64 = 0.05;
/// How much of the second best field is added to the best.
const SECOND: f64 = 0.1;

/// A view, prepared for being searched.
#[derive(Debug)]
pub(super) struct Searched {
    pub(super) view: View,
    texts: Vec<Text>,
    identifiers: Vec<String>,
}

/// One value of a field whose words are searched.
#[derive(Debug)]
struct Text {
    field: String,
    value: usize,
    weight: f64,
    words: Vec<Word>,
}

/// The words of a query.
pub(super) struct Words {
    words: Vec<String>,
    whole: String,
}

/// How well a document matches each word of a query, before it is known how rare they are.
pub(super) struct Match {
    strengths: Vec<f64>,
    is_identifier: IsIdentifier,
}

#[derive(PartialEq)]
enum IsIdentifier {
    Yes,
    No,
}

impl Searched {
    pub(super) fn new(view: View, projection: &Projection) -> Self {
        let in_stock = projection.stock.as_ref().map(|stock| &stock.in_stock);
        let mut texts = Vec::new();
        let mut identifiers = Vec::new();
        for (field, values) in &view.fields {
            let kind = projection.kind_of(field);
            for (at, value) in values.iter().enumerate() {
                let FieldValue::Text(text) = value else {
                    continue;
                };
                let weight = match kind {
                    Some(FieldKind::Text { weight }) => f64::from(weight),
                    Some(FieldKind::Identifier) => {
                        identifiers.push(fold(text));
                        continue;
                    }
                    Some(FieldKind::Keyword) if in_stock == Some(field) => continue,
                    Some(FieldKind::Keyword | FieldKind::Keywords | FieldKind::Attributes) => 1.0,
                    Some(FieldKind::Number | FieldKind::Stored) | None => continue,
                };
                texts.push(Text {
                    field: field.clone(),
                    value: at,
                    weight,
                    words: words(text),
                });
            }
        }
        Self {
            view,
            texts,
            identifiers,
        }
    }

    /// How well it matches. `None` for not at all.
    pub(super) fn matches(&self, query: &Words) -> Option<Match> {
        let equals = !query.is_blank() && self.identifiers.contains(&query.whole);
        let is_identifier = match equals {
            true => IsIdentifier::Yes,
            false => IsIdentifier::No,
        };
        let strengths: Vec<_> = (0..query.words.len())
            .map(|at| self.strength(query, at))
            .collect();
        let matched = strengths.iter().filter(|strength| **strength > 0.0).count();
        let enough = query.is_blank() || matched > 0 && matched >= query.least();
        (enough || is_identifier == IsIdentifier::Yes).then_some(Match {
            strengths,
            is_identifier,
        })
    }

    /// How well the best field matches a word, and a little of the second best.
    fn strength(&self, query: &Words, at: usize) -> f64 {
        let (mut best, mut second) = (0.0_f64, 0.0_f64);
        for text in &self.texts {
            let strength = text.weight * text.strength(query, at);
            second = second.max(strength.min(best));
            best = best.max(strength);
        }
        best + SECOND * second
    }

    /// Each value that matches: the field, the text and where in it, the weightiest field first.
    pub(super) fn places(&self, query: &Words) -> Vec<(&str, &str, Vec<Range<usize>>)> {
        let mut texts: Vec<_> = self.texts.iter().collect();
        texts.sort_by(|a, b| b.weight.total_cmp(&a.weight));
        let places = texts.into_iter().filter_map(|text| {
            let FieldValue::Text(whole) = self.view.fields.get(&text.field)?.get(text.value)?
            else {
                return None;
            };
            let matching = |word: &&Word| {
                let queried = 0..query.words.len();
                queried
                    .into_iter()
                    .any(|at| query.quality(at, &word.text) > 0.0)
            };
            let words = text.words.iter().filter(matching);
            let ranges: Vec<_> = words.map(|word| word.range.clone()).collect();
            (!ranges.is_empty()).then_some((text.field.as_str(), whole.as_str(), ranges))
        });
        places.collect()
    }
}

impl Text {
    /// From 0 to 1: of its best kind of match, saturating with how often it occurs.
    fn strength(&self, query: &Words, at: usize) -> f64 {
        let (mut best, mut count) = (0.0, 0.0);
        for word in &self.words {
            let quality = query.quality(at, &word.text);
            if quality > best {
                (best, count) = (quality, 1.0);
            } else if quality > 0.0 && quality >= best {
                count += 1.0;
            }
        }
        best * count / (count + 0.5)
    }
}

impl Words {
    pub(super) fn new(text: &str) -> Self {
        let words = words(text).into_iter().map(|word| word.text);
        Self {
            words: words.take(MOST_WORDS).collect(),
            whole: fold(text),
        }
    }

    pub(super) fn is_blank(&self) -> bool {
        self.whole.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.words.len()
    }

    /// How many words have to match.
    fn least(&self) -> usize {
        let count = self.words.len();
        if count <= 2 {
            count
        } else {
            (count * 2).div_ceil(3)
        }
    }

    /// How well a word matches one of the query's: 0 for not at all, 1 for the same.
    fn quality(&self, at: usize, word: &str) -> f64 {
        let queried = self.words[at].as_str();
        if queried == word {
            return 1.0;
        }
        if at + 1 == self.words.len() && word.starts_with(queried) {
            return BEGINNING;
        }
        typo(queried, word)
    }

    /// How rare each word is among so many documents: the fewer of them match it, the higher.
    pub(super) fn rarities<'a>(
        &self,
        matches: impl Iterator<Item = &'a Match>,
        documents: usize,
    ) -> Vec<f64> {
        let mut with = vec![0.0_f64; self.words.len()];
        for found in matches {
            for (with, strength) in with.iter_mut().zip(&found.strengths) {
                *with += f64::from(u8::from(*strength > 0.0));
            }
        }
        let rarity = |with: f64| (1.0 + (documents as f64 - with + 0.5) / (with + 0.5)).ln();
        with.into_iter().map(rarity).collect()
    }
}

impl Match {
    /// Higher is better. Documents that match more words are a whole number apart, so that how
    /// well they match does not weigh up a word that is missing.
    pub(super) fn score(&self, rarities: &[f64], most_weight: f64) -> f64 {
        let pairs = self.strengths.iter().zip(rarities);
        let sum: f64 = pairs.map(|(strength, rarity)| strength * rarity).sum();
        let most = rarities.iter().sum::<f64>() * most_weight * (1.0 + SECOND);
        let matched = self
            .strengths
            .iter()
            .filter(|strength| **strength > 0.0)
            .count();
        let share = if most > 0.0 { sum / most } else { 0.0 };
        let identifier = match self.is_identifier {
            IsIdentifier::Yes => 1.0 + MOST_WORDS as f64,
            IsIdentifier::No => 0.0,
        };
        identifier + matched as f64 + share
    }
}

/// How well a word matches but for typos.
fn typo(queried: &str, word: &str) -> f64 {
    let letters = queried.chars().count();
    let allowed = match letters {
        _ if queried.chars().any(char::is_numeric) => return 0.0,
        0..=3 => return 0.0,
        4..=7 => 1,
        _ => 2,
    };
    if letters.abs_diff(word.chars().count()) > allowed {
        return 0.0;
    }
    let edits = osa_distance(queried, word);
    if edits > allowed {
        return 0.0;
    }
    // The first letter is rarely wrong: if it differs, it counts as one edit more.
    let first = usize::from(queried.chars().next() != word.chars().next());
    TYPO / (edits + first) as f64
}
