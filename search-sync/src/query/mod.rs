//! Queries.

mod answer;
mod cursor;
mod paging;
mod validate;

pub use answer::{Facet, Highlight, Hit, SearchPage, Suggestion, TotalHits};
pub use cursor::PageEnd;
pub(crate) use paging::compare;
pub use paging::{PageStart, SortKey};

/// A query.
///
/// ```
/// use stockade_search_sync::{
///     FacetRequest, Filter, Projection, SearchQuery, Sort, SortOrder,
/// };
///
/// let query = SearchQuery::text("oak table")
///     .with_filter(Filter::terms("attributes.color", ["natural", "dark"]))
///     .with_filter(Filter::Range { field: "price".to_owned(), min: None, max: Some(50_000.0) })
///     .with_facet(FacetRequest::new("attributes.color"))
///     .with_sort(Sort::Field { field: "price".to_owned(), order: SortOrder::Ascending })
///     .with_size(10);
/// query.validate(&Projection::catalog())?;
/// # Ok::<(), stockade_search_sync::SearchError>(())
/// ```
///
/// Limits: 1,000 bytes of text, of which the first 20 words count; 50 filters, each with 1 to 100
/// values of at most 8 KiB; 30 facets, each with 1 to 1,000 values; 1 to 100 hits.
/// [`validate`](SearchQuery::validate) checks them.
///
/// Exhaustive: an index that ignores a part must not compile.
#[derive(Clone, Debug, PartialEq)]
pub struct SearchQuery {
    /// The text that a user typed. A blank text matches everything; a text without letters and
    /// digits matches only documents that have it as an identifier.
    pub text: String,
    /// Conditions. All of them must hold.
    pub filters: Vec<Filter>,
    /// The fields whose values are counted.
    pub facets: Vec<FacetRequest>,
    /// The order of the hits.
    pub sort: Sort,
    /// The most hits in the page.
    pub size: usize,
    /// The [`next`](SearchPage::next) of the previous page; `None` for the first page.
    pub cursor: Option<String>,
}

impl Default for SearchQuery {
    /// The best 24 of all documents.
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
    /// A query for a text that a user typed.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }

    /// Adds a condition.
    #[must_use]
    pub fn with_filter(mut self, filter: Filter) -> Self {
        self.filters.push(filter);
        self
    }

    /// Adds a field whose values are counted.
    #[must_use]
    pub fn with_facet(mut self, facet: FacetRequest) -> Self {
        self.facets.push(facet);
        self
    }

    /// Sets the order of the hits.
    #[must_use]
    pub fn with_sort(mut self, sort: Sort) -> Self {
        self.sort = sort;
        self
    }

    /// Sets the most hits in the page.
    #[must_use]
    pub fn with_size(mut self, size: usize) -> Self {
        self.size = size;
        self
    }

    /// Asks for the page after the one with this [`next`](SearchPage::next).
    #[must_use]
    pub fn with_cursor(mut self, cursor: impl Into<String>) -> Self {
        self.cursor = Some(cursor.into());
        self
    }
}

/// A condition on a field.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// One of the field's values equals one of these, including case and accents. Several filters
    /// on one field must all hold.
    Terms {
        /// The field, for example `brand` or `attributes.color`.
        field: String,
        /// The values, at least one. Numbers are written as in JSON.
        values: Vec<String>,
    },
    /// One of the field's numbers is in the range, including both ends.
    Range {
        /// The field, for example `price` or `attributes.diagonal`.
        field: String,
        /// The smallest number.
        min: Option<f64>,
        /// The largest number.
        max: Option<f64>,
    },
}

impl Filter {
    /// One of the field's values equals one of these.
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
    /// The field, for example `brand` or `attributes.color`.
    pub field: String,
    /// The most values.
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

    /// Sets the most values.
    #[must_use]
    pub fn with_size(mut self, size: usize) -> Self {
        self.size = size;
        self
    }
}

/// The order of hits. Equal hits are ordered by their key, so pages neither overlap nor leave
/// gaps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Sort {
    /// The best match first.
    #[default]
    Relevance,
    /// By a field: ascending by its smallest value, descending by its largest. Hits without the
    /// field come last.
    Field {
        /// The field, for example `price`.
        field: String,
        /// The direction.
        order: SortOrder,
    },
}

/// The direction of sorting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SortOrder {
    /// The smallest first.
    Ascending,
    /// The largest first.
    Descending,
}
