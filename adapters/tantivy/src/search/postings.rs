//! The documents that match one word of a query.

use stockade_search_sync::SearchError;
use tantivy::fieldnorm::FieldNormReader;
use tantivy::postings::SegmentPostings;
use tantivy::{DocId, DocSet, TERMINATED};

use super::words::MatchingTerm;

/// A word of the query in a segment.
pub(super) struct Word<'a> {
    pub(super) terms: Vec<Term<'a>>,
    pub(super) rarity: f32,
    /// The documents of all its terms, added up.
    pub(super) occurrences: u64,
}

/// A term that matches a word, and its documents.
pub(super) struct Term<'a> {
    pub(super) postings: SegmentPostings,
    pub(super) lengths: &'a FieldNormReader,
    /// The most that it can add to the score.
    pub(super) most: f32,
}

impl<'a> Word<'a> {
    pub(super) fn new(matching: &[MatchingTerm<'a>], rarity: f32) -> Result<Self, SearchError> {
        let terms = matching.iter().map(|term| {
            Ok(Term {
                postings: term.words.postings(&term.info)?,
                lengths: &term.words.lengths,
                most: (term.weight * term.quality) as f32,
            })
        });
        let occurrences = matching.iter().map(|term| u64::from(term.info.doc_freq));
        Ok(Self {
            terms: terms.collect::<Result<_, SearchError>>()?,
            rarity,
            occurrences: occurrences.sum(),
        })
    }

    /// Moves to the first document, starting with `from`.
    pub(super) fn seek(&mut self, from: DocId) -> DocId {
        let terms = self.terms.iter_mut().map(|term| term.seek(from));
        terms.min().unwrap_or(TERMINATED)
    }
}

impl Term<'_> {
    pub(super) fn seek(&mut self, from: DocId) -> DocId {
        match self.postings.doc() {
            document if document < from => self.postings.seek(from),
            document => document,
        }
    }
}
