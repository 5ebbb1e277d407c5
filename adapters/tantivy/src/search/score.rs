//! Which documents of a segment match the text, and how well.

use std::collections::HashMap;
use std::sync::Arc;

use stockade_search_sync::SearchError;
use stockade_search_sync::analysis::{MOST_WORDS, Typed};
use tantivy::fieldnorm::FieldNormReader;
use tantivy::postings::Postings;
use tantivy::schema::{Field, IndexRecordOption, Term};
use tantivy::{DocId, DocSet, InvertedIndexReader, SegmentReader, TERMINATED};

use super::words::{Expanded, Standing};
use crate::error::failed;
use crate::schema::{Fields, bare, phrase};

/// How much of the second best field is added to the best.
const SECOND: f32 = 0.1;
/// A field of one word counts so much more than one of many.
const SHORT: f32 = 0.3;

/// A tier is higher than any number of words that match.
const TIER: f64 = 1.0 + MOST_WORDS as f64;
const IDENTIFIER: f64 = 3.0 * TIER;
const BARE_IDENTIFIER: f64 = 2.0 * TIER;
const TITLE: f64 = TIER;

/// The documents of a segment that match the text, in the order of their ids.
#[derive(Default)]
pub(super) struct Matching {
    pub(super) documents: Vec<DocId>,
    /// By place in `documents`; empty where all are equal.
    pub(super) scores: Vec<f64>,
}

/// Everything that is there.
pub(super) fn everything(segment: &SegmentReader) -> Matching {
    let documents = match segment.alive_bitset() {
        None => (0..segment.max_doc()).collect(),
        Some(alive) => alive.iter_alive().collect(),
    };
    Matching {
        documents,
        scores: Vec::new(),
    }
}

/// What matches the text. Higher is better: documents that match more words are a whole number
/// apart, so that how well they match does not weigh up a word that is missing; and an identifier
/// that the text equals stands above all, then a title.
pub(super) fn matching(
    segment: &SegmentReader,
    fields: &Fields,
    typed: &Typed,
    expanded: &Expanded,
    rarities: &[f64],
) -> Result<Matching, SearchError> {
    let documents = segment.max_doc() as usize;
    let mut sums = vec![0.0_f32; documents];
    let mut matched = vec![0_u8; documents];
    let mut strengths = Strengths::new(documents);
    let mut readers = Readers::new(segment);
    for (standing, rarity) in expanded.iter().zip(rarities) {
        for term in standing {
            strengths.add(readers.of(term.field)?, term)?;
        }
        strengths.settle(|document, strength| {
            sums[document as usize] += strength * *rarity as f32;
            matched[document as usize] += 1;
        });
    }
    let tiers = tiers(segment, fields, typed)?;
    let most = rarities.iter().sum::<f64>();
    let most = most * f64::from(1.0 + SECOND) * fields.weights.first().map_or(1.0, |w| w.weight);
    let mut found = Matching::default();
    let alive = segment.alive_bitset();
    let least = typed.least().max(1);
    for (document, matched) in (0..).zip(matched) {
        // Most documents match nothing.
        let enough = usize::from(matched) >= least;
        if !enough && (tiers.is_empty() || !tiers.contains_key(&document)) {
            continue;
        }
        if alive.is_some_and(|alive| alive.is_deleted(document)) {
            continue;
        }
        let sum = f64::from(sums[document as usize]);
        let share = if most > 0.0 { sum / most } else { 0.0 };
        let tier = tiers.get(&document).copied().unwrap_or(0.0);
        found.documents.push(document);
        found.scores.push(tier + f64::from(matched) + share);
    }
    Ok(found)
}

/// What a field is read by.
struct Reader {
    field: Field,
    inverted: Arc<InvertedIndexReader>,
    lengths: FieldNormReader,
}

/// The fields of a segment, each opened once.
struct Readers<'a> {
    segment: &'a SegmentReader,
    opened: Vec<Reader>,
}

impl<'a> Readers<'a> {
    fn new(segment: &'a SegmentReader) -> Self {
        let opened = Vec::new();
        Self { segment, opened }
    }

    fn of(&mut self, field: Field) -> Result<&Reader, SearchError> {
        let known = self.opened.iter().position(|reader| reader.field == field);
        let at = match known {
            Some(at) => at,
            None => {
                let inverted = self.segment.inverted_index(field);
                let lengths = self.segment.get_fieldnorms_reader(field);
                self.opened.push(Reader {
                    field,
                    inverted: inverted.map_err(failed("search"))?,
                    lengths: lengths.map_err(failed("search"))?,
                });
                self.opened.len() - 1
            }
        };
        Ok(&self.opened[at])
    }
}

/// How well the documents of a segment match one word: the best field, and a little of the second
/// best.
struct Strengths {
    best: Vec<f32>,
    second: Vec<f32>,
    touched: Vec<DocId>,
}

impl Strengths {
    fn new(documents: usize) -> Self {
        Self {
            best: vec![0.0; documents],
            second: vec![0.0; documents],
            touched: Vec::new(),
        }
    }

    fn add(&mut self, reader: &Reader, term: &Standing) -> Result<(), SearchError> {
        let Reader {
            inverted, lengths, ..
        } = reader;
        let postings =
            inverted.read_postings_from_terminfo(&term.info, IndexRecordOption::WithFreqs);
        let mut postings = postings.map_err(failed("search"))?;
        let most = (term.weight * term.quality) as f32;
        while postings.doc() != TERMINATED {
            let document = postings.doc();
            let length = lengths.fieldnorm(document).max(1) as f32;
            let short = 1.0 - SHORT + SHORT / length.sqrt();
            let frequency = postings.term_freq() as f32;
            let strength = most * short * frequency / (frequency + 0.5);
            self.raise(document, strength);
            postings.advance();
        }
        Ok(())
    }

    fn raise(&mut self, document: DocId, strength: f32) {
        let best = &mut self.best[document as usize];
        let second = &mut self.second[document as usize];
        if *best == 0.0 {
            self.touched.push(document);
        }
        *second = second.max(strength.min(*best));
        *best = best.max(strength);
    }

    fn settle(&mut self, mut each: impl FnMut(DocId, f32)) {
        for document in self.touched.drain(..) {
            let at = document as usize;
            each(document, self.best[at] + SECOND * self.second[at]);
            self.best[at] = 0.0;
            self.second[at] = 0.0;
        }
    }
}

/// The documents of which the whole text is an identifier or the title.
fn tiers(
    segment: &SegmentReader,
    fields: &Fields,
    typed: &Typed,
) -> Result<HashMap<DocId, f64>, SearchError> {
    let mut tiers = HashMap::new();
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
    let term = Term::from_field_text(field, text);
    let postings = inverted.read_postings(&term, IndexRecordOption::Basic);
    if let Some(mut postings) = postings.map_err(failed("search"))? {
        while postings.doc() != TERMINATED {
            each(postings.doc());
            postings.advance();
        }
    }
    Ok(())
}
