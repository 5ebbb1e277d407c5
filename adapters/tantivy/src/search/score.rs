//! Which documents of a segment match the text of a query, and how well.

use std::collections::BTreeMap;

use stockade_search_sync::SearchError;
use stockade_search_sync::analysis::{MOST_WORDS, QueryText};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocId, DocSet, SegmentReader, TERMINATED};

use super::postings::Word;
use super::window::{SECOND, Window};
use super::words::Expanded;
use crate::error::failed;
use crate::schema::{Fields, bare, phrase};

/// One tier is higher than any number of matching words.
const TIER: f64 = 1.0 + MOST_WORDS as f64;
const IDENTIFIER: f64 = 3.0 * TIER;
const BARE_IDENTIFIER: f64 = 2.0 * TIER;
const TITLE: f64 = TIER;

/// The documents of a segment that match a query, ordered by their ids.
#[derive(Default)]
pub(super) struct Matching {
    pub(super) documents: Vec<DocId>,
    /// The score of each document; empty if all are equal.
    pub(super) scores: Vec<f64>,
}

impl Matching {
    /// Documents with equal scores.
    pub(super) fn equal(documents: Vec<DocId>) -> Self {
        Self {
            documents,
            scores: Vec::new(),
        }
    }

    /// Keeps the documents at these positions.
    pub(super) fn retain(&mut self, keep: impl Fn(usize) -> bool) {
        let mut at = 0;
        let mut kept = || {
            at += 1;
            keep(at - 1)
        };
        self.documents.retain(|_| kept());
        at = 0;
        let mut kept = || {
            at += 1;
            keep(at - 1)
        };
        self.scores.retain(|_| kept());
    }
}

/// The documents that match the text. A higher score is better. Each matching word adds 1, and how
/// well the words match adds less than 1: so a document that matches more words has the higher
/// score. A document with an identifier that equals the text is above all of these, and a document
/// with an equal title comes next.
pub(super) fn matching(
    segment: &SegmentReader,
    fields: &Fields,
    typed: &QueryText,
    expanded: &Expanded<'_>,
    rarities: &[f64],
    window: &mut Window,
) -> Result<Matching, SearchError> {
    let mut words = Vec::with_capacity(expanded.len());
    for (terms, rarity) in expanded.iter().zip(rarities) {
        words.push(Word::new(terms, *rarity as f32)?);
    }
    let least = typed.least().max(1);
    let needed = match least == words.len() {
        true => Needed::All,
        false => Needed::Some,
    };
    if needed == Needed::All {
        // The rarest word first: the others are read only in documents that contain it.
        words.sort_by_key(|word| word.occurrences);
    }
    let tiers = tiers(segment, fields, typed)?;
    let most = rarities.iter().sum::<f64>();
    let most = most * f64::from(1.0 + SECOND) * fields.weights.first().map_or(1.0, |w| w.weight);
    let alive = segment.alive_bitset();
    let mut found = Matching::default();
    let mut from = 0;
    loop {
        let begin = next(&mut words, &tiers, least, from);
        if begin >= segment.max_doc() {
            return Ok(found);
        }
        from = window.move_to(begin);
        for (number, word) in words.iter_mut().enumerate() {
            match needed {
                Needed::All if number > 0 => window.add(word, |matched| matched > 0),
                Needed::All | Needed::Some => window.add(word, |_| true),
            }
        }
        window.take(least, &tiers, |document, matched, sum| {
            if alive.is_some_and(|alive| alive.is_deleted(document)) {
                return;
            }
            let share = if most > 0.0 {
                f64::from(sum) / most
            } else {
                0.0
            };
            let tier = tiers.get(&document).copied().unwrap_or(0.0);
            found.documents.push(document);
            found.scores.push(tier + f64::from(matched) + share);
        });
    }
}

/// How many of the words must match.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needed {
    All,
    Some,
}

/// The first document, starting with `from`, that may match enough words or is in a tier.
fn next(words: &mut [Word<'_>], tiers: &BTreeMap<DocId, f64>, least: usize, from: DocId) -> DocId {
    let mut heads: Vec<_> = words.iter_mut().map(|word| word.seek(from)).collect();
    heads.sort_unstable();
    // At the `least`-th head, enough words may match.
    let enough = heads.get(least - 1).copied().unwrap_or(TERMINATED);
    let tier = tiers
        .range(from..)
        .next()
        .map_or(TERMINATED, |(document, _)| *document);
    enough.min(tier)
}

/// The documents whose identifier or title equals the whole text, with their tier.
fn tiers(
    segment: &SegmentReader,
    fields: &Fields,
    typed: &QueryText,
) -> Result<BTreeMap<DocId, f64>, SearchError> {
    let mut tiers = BTreeMap::new();
    let words = phrase(typed.texts());
    for (field, text, tier) in [
        (fields.identifier, typed.whole(), IDENTIFIER),
        (
            fields.bare_identifier,
            &bare(typed.whole()),
            BARE_IDENTIFIER,
        ),
        (fields.title_phrase, &words, TITLE),
    ] {
        if !text.is_empty() {
            equal(segment, field, text, |document| {
                let known = tiers.entry(document).or_insert(0.0_f64);
                *known = known.max(tier);
            })?;
        }
    }
    Ok(tiers)
}

fn equal(
    segment: &SegmentReader,
    field: Field,
    text: &str,
    mut each: impl FnMut(DocId),
) -> Result<(), SearchError> {
    let inverted = segment.inverted_index(field).map_err(failed("search"))?;
    let term = tantivy::Term::from_field_text(field, text);
    let postings = inverted.read_postings(&term, IndexRecordOption::Basic);
    if let Some(mut postings) = postings.map_err(failed("search"))? {
        while postings.doc() != TERMINATED {
            each(postings.doc());
            postings.advance();
        }
    }
    Ok(())
}
