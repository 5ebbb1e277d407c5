//! Scores neighbouring documents together.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use tantivy::fieldnorm::FieldNormReader;
use tantivy::postings::Postings;
use tantivy::{DocId, DocSet};

use super::postings::Word;

/// The share of the second best field that is added to the best.
pub(super) const SECOND: f32 = 0.1;
/// How much more a field of one word counts than a very long one.
const SHORT: f32 = 0.3;

/// How many neighbouring documents are scored together. Their sums fit into the nearest cache of
/// the processor, no matter how large the segment is.
const WINDOW: usize = 4_096;
const BITS: usize = u64::BITS as usize;

/// The scores of neighbouring documents. Each document has a fixed position in the window.
pub(super) struct Window {
    begin: DocId,
    /// How well the best field matches the current word, and how well the second best does.
    best: Box<[f32; WINDOW]>,
    second: Box<[f32; WINDOW]>,
    touched: Bits,
    /// The sums over all words.
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

    /// Moves to other documents, and returns the first document after them.
    pub(super) fn move_to(&mut self, begin: DocId) -> DocId {
        self.begin = begin;
        self.end()
    }

    fn end(&self) -> DocId {
        self.begin + WINDOW as DocId
    }

    /// Adds a word. `is_wanted` says, given the number of words that matched so far, whether a
    /// document is scored.
    pub(super) fn add(&mut self, word: &mut Word<'_>, is_wanted: impl Fn(u8) -> bool) {
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

    /// Passes each document that matches enough words or is in a tier to `each`, with the number of
    /// matching words and how well they match, and empties the window.
    pub(super) fn take(
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

/// A set of positions in a window.
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

    /// Passes each position to `each`, in order, and empties the set.
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

/// The factor for the length of a field, by the code that tantivy stores for the length.
static SHORTNESS: LazyLock<[f32; 256]> = LazyLock::new(|| {
    std::array::from_fn(|code| {
        let length = FieldNormReader::id_to_fieldnorm(code as u8).max(1) as f32;
        1.0 - SHORT + SHORT / length.sqrt()
    })
});
