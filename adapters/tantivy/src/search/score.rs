//! Which documents of a segment match the text, and how well.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use stockade_search_sync::SearchError;
use stockade_search_sync::analysis::{MOST_WORDS, Typed};
use tantivy::fieldnorm::FieldNormReader;
use tantivy::postings::{Postings, SegmentPostings};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocId, DocSet, SegmentReader, TERMINATED};

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

/// So many neighbouring documents are scored together, so that their sums stay in the nearest
/// cache, whatever the size of the segment.
const WINDOW: usize = 4_096;
const BITS: usize = u64::BITS as usize;

/// The documents of a segment that match the text, in the order of their ids.
#[derive(Default)]
pub(super) struct Matching {
    pub(super) documents: Vec<DocId>,
    /// By place in `documents`; empty where all are equal.
    pub(super) scores: Vec<f64>,
}

impl Matching {
    /// Documents of which none is better than another.
    pub(super) fn equal(documents: Vec<DocId>) -> Self {
        Self {
            documents,
            scores: Vec::new(),
        }
    }

    /// Keeps the documents at some places.
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

/// What matches the text. Higher is better: documents that match more words are a whole number
/// apart, so that how well they match does not weigh up a word that is missing; and an identifier
/// that the text equals stands above all, then a title.
pub(super) fn matching(
    segment: &SegmentReader,
    fields: &Fields,
    typed: &Typed,
    expanded: &Expanded<'_>,
    rarities: &[f64],
    window: &mut Window,
) -> Result<Matching, SearchError> {
    let mut words = Vec::with_capacity(expanded.len());
    for (standing, rarity) in expanded.iter().zip(rarities) {
        words.push(Word::new(standing, *rarity as f32)?);
    }
    let least = typed.least().max(1);
    let needed = match least == words.len() {
        true => Needed::All,
        false => Needed::Some,
    };
    if needed == Needed::All {
        // The rarest first: the others are looked for only where it stands.
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
        window.begin = begin;
        from = window.end();
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

/// How many of the words have to match.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needed {
    All,
    Some,
}

/// The first document from this one on that may match enough words or is of a tier.
fn next(words: &mut [Word<'_>], tiers: &BTreeMap<DocId, f64>, least: usize, from: DocId) -> DocId {
    let mut heads: Vec<_> = words.iter_mut().map(|word| word.seek(from)).collect();
    heads.sort_unstable();
    // So many words have to be there already.
    let enough = heads.get(least - 1).copied().unwrap_or(TERMINATED);
    let tier = tiers
        .range(from..)
        .next()
        .map_or(TERMINATED, |(document, _)| *document);
    enough.min(tier)
}

/// A word of the query in a segment.
struct Word<'a> {
    terms: Vec<Term<'a>>,
    rarity: f32,
    occurrences: u64,
}

/// A term that stands for a word, and where it occurs.
struct Term<'a> {
    postings: SegmentPostings,
    lengths: &'a FieldNormReader,
    most: f32,
}

impl<'a> Word<'a> {
    fn new(standing: &[Standing<'a>], rarity: f32) -> Result<Self, SearchError> {
        let terms = standing.iter().map(|term| {
            Ok(Term {
                postings: term.words.postings(&term.info)?,
                lengths: &term.words.lengths,
                most: (term.weight * term.quality) as f32,
            })
        });
        let occurrences = standing.iter().map(|term| u64::from(term.info.doc_freq));
        Ok(Self {
            terms: terms.collect::<Result<_, SearchError>>()?,
            rarity,
            occurrences: occurrences.sum(),
        })
    }

    /// Goes to the first document from this one on.
    fn seek(&mut self, from: DocId) -> DocId {
        let terms = self.terms.iter_mut().map(|term| term.seek(from));
        terms.min().unwrap_or(TERMINATED)
    }
}

impl Term<'_> {
    fn seek(&mut self, from: DocId) -> DocId {
        match self.postings.doc() {
            document if document < from => self.postings.seek(from),
            document => document,
        }
    }
}

/// How well neighbouring documents match: what is known of each is at its place in the window.
pub(super) struct Window {
    begin: DocId,
    /// Of the word at hand, how well the best field matches it, and the second best.
    best: Box<[f32; WINDOW]>,
    second: Box<[f32; WINDOW]>,
    touched: Bits,
    /// Of all words.
    sums: Box<[f32; WINDOW]>,
    matched: Box<[u8; WINDOW]>,
    any: Bits,
}

impl Window {
    pub(super) fn new() -> Self {
        Self {
            begin: 0,
            best: Box::new([0.0; WINDOW]),
            second: Box::new([0.0; WINDOW]),
            touched: Bits::default(),
            sums: Box::new([0.0; WINDOW]),
            matched: Box::new([0; WINDOW]),
            any: Bits::default(),
        }
    }

    fn end(&self) -> DocId {
        self.begin + WINDOW as DocId
    }

    /// Adds a word, in documents of which so many words matched before.
    fn add(&mut self, word: &mut Word<'_>, is_wanted: impl Fn(u8) -> bool) {
        let end = self.end();
        for term in &mut word.terms {
            let mut document = term.seek(self.begin);
            while document < end {
                let at = (document - self.begin) as usize % WINDOW;
                if is_wanted(self.matched[at]) {
                    let short = SHORTNESS[usize::from(term.lengths.fieldnorm_id(document))];
                    let frequency = term.postings.term_freq() as f32;
                    self.raise(at, term.most * short * frequency / (frequency + 0.5));
                }
                document = term.postings.advance();
            }
        }
        self.touched.drain(|at| {
            self.sums[at] += (self.best[at] + SECOND * self.second[at]) * word.rarity;
            self.matched[at] += 1;
            self.any.set(at);
            self.best[at] = 0.0;
            self.second[at] = 0.0;
        });
    }

    fn raise(&mut self, at: usize, strength: f32) {
        self.second[at] = self.second[at].max(strength.min(self.best[at]));
        self.best[at] = self.best[at].max(strength);
        self.touched.set(at);
    }

    /// Gives each document that matches enough words or is of a tier, with how many words it
    /// matches and how well, and empties the window.
    fn take(
        &mut self,
        least: usize,
        tiers: &BTreeMap<DocId, f64>,
        mut each: impl FnMut(DocId, u8, f32),
    ) {
        for document in tiers
            .range(self.begin..self.end())
            .map(|(document, _)| document)
        {
            self.any.set((document - self.begin) as usize);
        }
        self.any.drain(|at| {
            let document = self.begin + at as DocId;
            let (matched, sum) = (self.matched[at], self.sums[at]);
            if usize::from(matched) >= least || tiers.contains_key(&document) {
                each(document, matched, sum);
            }
            self.matched[at] = 0;
            self.sums[at] = 0.0;
        });
    }
}

/// Some places of a window.
struct Bits([u64; WINDOW / BITS]);

impl Default for Bits {
    fn default() -> Self {
        Self([0; WINDOW / BITS])
    }
}

impl Bits {
    fn set(&mut self, at: usize) {
        self.0[at / BITS] |= 1 << (at % BITS);
    }

    /// Gives each in order, and forgets them.
    fn drain(&mut self, mut each: impl FnMut(usize)) {
        for (number, bits) in self.0.iter_mut().enumerate() {
            let mut left = std::mem::take(bits);
            while left != 0 {
                each(number * BITS + left.trailing_zeros() as usize);
                left &= left - 1;
            }
        }
    }
}

/// By the code of a field's length, how much it counts that the field is short.
static SHORTNESS: LazyLock<[f32; 256]> = LazyLock::new(|| {
    std::array::from_fn(|code| {
        let length = FieldNormReader::id_to_fieldnorm(code as u8).max(1) as f32;
        1.0 - SHORT + SHORT / length.sqrt()
    })
});

/// The documents of which the whole text is an identifier or the title.
fn tiers(
    segment: &SegmentReader,
    fields: &Fields,
    typed: &Typed,
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
