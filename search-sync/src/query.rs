//! What is asked of a search index, and what it answers.

use std::ops::Range;

use async_trait::async_trait;

use crate::error::SearchError;
use crate::view::View;

/// Answers queries from the active generation. Who serves queries needs no right to write.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait SearchIndex: Send + Sync {
    /// The hits of one page, and the facets of the whole result.
    ///
    /// The cost is bounded for any query: what is over the limits of [`SearchQuery`] is refused,
    /// and text is never read as a query language.
    ///
    /// # Errors
    /// [`SearchError::Invalid`] naming the part of the query, [`SearchError::NothingActive`],
    /// [`SearchError::Failed`] and the like.
    async fn search(&self, query: &SearchQuery) -> Result<SearchPage, SearchError>;

    /// At most `limit` (1 to 20) titles that go on from what somebody has typed so far, the best
    /// first; none for an empty prefix.
    ///
    /// # Errors
    /// As for [`search`](SearchIndex::search).
    async fn suggest(&self, prefix: &str, limit: usize) -> Result<Vec<Suggestion>, SearchError>;

    /// What this server can not do of all this, and what follows; empty where it can do all.
    fn lacks(&self) -> Vec<Lack>;
}

/// A query.
///
/// Exhaustive: an index that ignores a part must not compile. Limits: 1000 bytes of text, of
/// which the first 20 words count; 50 filters of 1 to 100 values of 8 KiB; 30 facets of 1 to 1000
/// values; 1 to 100 hits. [`validate`](SearchQuery::validate) checks them.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchQuery {
    /// What somebody typed. Blank finds everything; without letters and digits it finds only
    /// what it is the identifier of.
    pub text: String,
    /// All of them have to hold.
    pub filters: Vec<Filter>,
    /// Which values of which fields to count.
    pub facets: Vec<FacetRequest>,
    /// The order of the hits.
    pub sort: Sort,
    /// Most hits.
    pub size: usize,
    /// Where the page before ended.
    pub cursor: Option<String>,
}

impl Default for SearchQuery {
    /// Everything, the best 24 first.
    fn default() -> Self {
        Self {
            text: String::new(),
            filters: Vec::new(),
            facets: Vec::new(),
            sort: Sort::Relevance,
            size: 24,
            cursor: None,
        }
    }
}

impl SearchQuery {
    /// A query for what somebody typed.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }

    /// And this has to hold.
    #[must_use]
    pub fn with_filter(mut self, filter: Filter) -> Self {
        self.filters.push(filter);
        self
    }

    /// And count the values of this field.
    #[must_use]
    pub fn with_facet(mut self, facet: FacetRequest) -> Self {
        self.facets.push(facet);
        self
    }

    /// In this order.
    #[must_use]
    pub fn with_sort(mut self, sort: Sort) -> Self {
        self.sort = sort;
        self
    }

    /// At most so many hits.
    #[must_use]
    pub fn with_size(mut self, size: usize) -> Self {
        self.size = size;
        self
    }

    /// After the page that ended there.
    #[must_use]
    pub fn with_cursor(mut self, cursor: impl Into<String>) -> Self {
        self.cursor = Some(cursor.into());
        self
    }
}

/// A condition on a field.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// One of the field's values is one of these, letter for letter. Several of them on one
    /// field all have to hold.
    Terms {
        /// The field, such as `brand` or `attributes.color`.
        field: String,
        /// The values, at least one; numbers as they are written in JSON.
        values: Vec<String>,
    },
    /// One of the field's numbers is in the range, both ends included.
    Range {
        /// The field, such as `price` or `attributes.diagonal`.
        field: String,
        /// The least.
        min: Option<f64>,
        /// The most.
        max: Option<f64>,
    },
}

impl Filter {
    /// One of the field's values is one of these.
    pub fn terms<V: Into<String>>(
        field: impl Into<String>,
        values: impl IntoIterator<Item = V>,
    ) -> Self {
        let values = values.into_iter().map(Into::into).collect();
        Self::Terms {
            field: field.into(),
            values,
        }
    }

    /// The field.
    #[must_use]
    pub fn field(&self) -> &str {
        match self {
            Self::Terms { field, .. } | Self::Range { field, .. } => field,
        }
    }
}

/// A field whose values are counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FacetRequest {
    /// The field, such as `brand` or `attributes.color`.
    pub field: String,
    /// Most values.
    pub size: usize,
}

impl FacetRequest {
    /// The 50 most frequent values of a field.
    #[must_use]
    pub fn new(field: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            size: 50,
        }
    }

    /// At most so many values.
    #[must_use]
    pub fn with_size(mut self, size: usize) -> Self {
        self.size = size;
        self
    }
}

/// The order of hits. Ties are broken by the key, so that pages neither overlap nor leave gaps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// The best first.
    #[default]
    Relevance,
    /// By a field: its least value upwards, its greatest downwards. Hits without one come last.
    Field {
        /// The field, such as `price`.
        field: String,
        /// Which way.
        order: Order,
    },
}

/// Which way to sort.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// The least first.
    Ascending,
    /// The greatest first.
    Descending,
}

/// One page of an answer.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SearchPage {
    /// The hits, in order.
    pub hits: Vec<Hit>,
    /// How many documents match.
    pub total: Total,
    /// One for each facet asked for, in their order.
    pub facets: Vec<Facet>,
    /// Where the next page begins; none on the last.
    pub next: Option<String>,
}

impl SearchPage {
    /// A page.
    #[must_use]
    pub fn new(hits: Vec<Hit>, total: Total, facets: Vec<Facet>, next: Option<String>) -> Self {
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
pub enum Total {
    /// So many.
    Exactly(u64),
    /// So many or more: the index stopped counting.
    AtLeast(u64),
}

/// A document that matches.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Hit {
    /// The key of its root row.
    pub key: String,
    /// How well it matches, for this query on this index only.
    pub score: f64,
    /// Its fields.
    pub view: View,
    /// Where it matches.
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

/// A piece of text that matches.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Highlight {
    /// The field.
    pub field: String,
    /// The text or a part of it, as it was written: not escaped for any markup.
    pub fragment: String,
    /// The bytes of the fragment that match, in order, without overlap, on character boundaries.
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

/// The values of a field among the documents that match the text and all filters but those on
/// this very field: so that a choice can be widened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Facet {
    /// The field.
    pub field: String,
    /// Values and how many documents have them, the most frequent first, then by value.
    pub values: Vec<(String, u64)>,
}

impl Facet {
    /// A facet.
    #[must_use]
    pub fn new(field: String, values: Vec<(String, u64)>) -> Self {
        Self { field, values }
    }
}

/// A title that goes on from what somebody typed.
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

/// Something that an index can not do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lack {
    /// The ability, such as `accent folding`.
    pub ability: String,
    /// What follows, such as "`cafe` does not find `café`".
    pub consequence: String,
}

impl Lack {
    /// A lack.
    #[must_use]
    pub fn new(ability: impl Into<String>, consequence: impl Into<String>) -> Self {
        Self {
            ability: ability.into(),
            consequence: consequence.into(),
        }
    }
}
