//! Which documents match a text, and how well.

use crate::analysis::{MOST_WORDS, QueryText, SearchedText, SearchedValue, Word};
use crate::document::View;
use crate::projection::Projection;

/// The share of the second best field that is added to the best.
const SECOND: f64 = 0.1;

/// A view, prepared for searching.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) view: View,
    pub(super) searched: SearchedText,
}

/// How well a document matches each word of a query, without the rarity of the words.
pub(super) struct Match {
    strengths: Vec<f64>,
    is_identifier: IsIdentifier,
}

#[derive(PartialEq)]
enum IsIdentifier {
    Yes,
    No,
}

impl Shown {
    pub(super) fn new(view: View, projection: &Projection) -> Self {
        let searched = SearchedText::new(&view, projection);
        Self { view, searched }
    }

    /// How well it matches. `None` if it does not match.
    pub(super) fn matches(&self, typed: &QueryText) -> Option<Match> {
        let mut identifiers = self.searched.identifiers.iter();
        let equals = !typed.is_blank() && identifiers.any(|known| known == typed.whole());
        let is_identifier = match equals {
            true => IsIdentifier::Yes,
            false => IsIdentifier::No,
        };
        let strengths: Vec<_> = (0..typed.len())
            .map(|at| self.strength(typed, at))
            .collect();
        let matched = strengths.iter().filter(|strength| **strength > 0.0).count();
        let enough = typed.is_blank() || matched > 0 && matched >= typed.least();
        (enough || is_identifier == IsIdentifier::Yes).then_some(Match {
            strengths,
            is_identifier,
        })
    }

    /// Whether it contains the word at this position, as it was typed or in another spelling.
    pub(super) fn has(&self, typed: &QueryText, at: usize) -> bool {
        let is = |word: &Word| typed.spellings(at).any(|spelling| spelling == word.text);
        let is_pair = |pair: &Word| typed.pairs(at).any(|known| known == pair.text);
        let mut texts = self.searched.values.iter();
        texts.any(|text| text.words.iter().any(is) || text.pairs.iter().any(is_pair))
    }

    /// How well the best field matches a word, plus a share of the second best.
    fn strength(&self, typed: &QueryText, at: usize) -> f64 {
        let (mut best, mut second) = (0.0_f64, 0.0_f64);
        for text in &self.searched.values {
            let strength = text.weight * text.strength(typed, at);
            second = second.max(strength.min(best));
            best = best.max(strength);
        }
        best + SECOND * second
    }
}

impl SearchedValue {
    /// From 0 to 1: the quality of the best match, which grows with the number of such matches.
    fn strength(&self, typed: &QueryText, at: usize) -> f64 {
        let words = self.words.iter().map(|word| typed.quality(at, &word.text));
        let pairs = self.pairs.iter();
        let pairs = pairs.map(|pair| typed.quality_of_pair(at, &pair.text));
        let (mut best, mut count) = (0.0, 0.0);
        for quality in words.chain(pairs) {
            if quality > best {
                (best, count) = (quality, 1.0);
            } else if quality > 0.0 && quality >= best {
                count += 1.0;
            }
        }
        best * count / (count + 0.5)
    }
}

/// How rare each word is among all documents: the fewer documents match it, the higher.
pub(super) fn rarities<'a>(
    typed: &QueryText,
    matches: impl Iterator<Item = &'a Match>,
    documents: usize,
) -> Vec<f64> {
    let mut with = vec![0.0_f64; typed.len()];
    for found in matches {
        for (with, strength) in with.iter_mut().zip(&found.strengths) {
            *with += f64::from(u8::from(*strength > 0.0));
        }
    }
    let rarity = |with: f64| (1.0 + (documents as f64 - with + 0.5) / (with + 0.5)).ln();
    with.into_iter().map(rarity).collect()
}

impl Match {
    /// Higher is better. Each matching word adds 1, and how well the words match adds less than 1:
    /// so a document that matches more words always has the higher score.
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
