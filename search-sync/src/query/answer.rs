//! The result of a query.

use std::ops::Range;

use crate::document::View;

/// One page of hits, and the facets of the whole result.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SearchPage {
    /// The hits, in order.
    pub hits: Vec<Hit>,
    /// How many documents match.
    pub total: TotalHits,
    /// One for each requested facet, in their order.
    pub facets: Vec<Facet>,
    /// The cursor of the next page; `None` on the last page.
    pub next: Option<String>,
}

impl SearchPage {
    /// A page.
    #[must_use]
    pub fn new(hits: Vec<Hit>, total: TotalHits, facets: Vec<Facet>, next: Option<String>) -> Self {
        Self {
            hits,
            total,
            facets,
            next,
        }
    }
}

/// How many documents match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TotalHits {
    /// This number.
    Exactly(u64),
    /// This number or more: the index stopped counting.
    AtLeast(u64),
}

/// A document that matches.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Hit {
    /// The key of its root row.
    pub key: String,
    /// How well it matches. Comparable only within this query on this index.
    pub score: f64,
    /// Its fields.
    pub view: View,
    /// The places where it matches.
    pub highlights: Vec<Highlight>,
}

impl Hit {
    /// A hit.
    #[must_use]
    pub fn new(key: String, score: f64, view: View, highlights: Vec<Highlight>) -> Self {
        Self {
            key,
            score,
            view,
            highlights,
        }
    }
}

/// A piece of text with the places where it matches.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Highlight {
    /// The field.
    pub field: String,
    /// The text or a part of it. It is not escaped for any markup.
    pub fragment: String,
    /// The bytes of the fragment that match: ordered, without overlap, on character boundaries.
    pub matches: Vec<Range<usize>>,
}

impl Highlight {
    /// A highlight.
    #[must_use]
    pub fn new(field: String, fragment: String, matches: Vec<Range<usize>>) -> Self {
        Self {
            field,
            fragment,
            matches,
        }
    }
}

/// The values of a field, and how many documents have each value. Counts the documents that match
/// the text and all filters except those on this field, so that a user sees the other possible
/// choices.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Facet {
    /// The field.
    pub field: String,
    /// Values and how many documents have them: the most frequent first, then ordered by value.
    pub values: Vec<(String, u64)>,
}

impl Facet {
    /// A facet.
    #[must_use]
    pub fn new(field: String, values: Vec<(String, u64)>) -> Self {
        Self { field, values }
    }
}

/// A title that completes what a user typed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Suggestion {
    /// The key of the document's root row.
    pub key: String,
    /// The title.
    pub text: String,
}

impl Suggestion {
    /// A suggestion.
    #[must_use]
    pub fn new(key: String, text: String) -> Self {
        Self { key, text }
    }
}
