//! The trait for searching an index.

use async_trait::async_trait;
use auto_impl::auto_impl;

use crate::error::SearchError;
use crate::query::{SearchPage, SearchQuery, Suggestion};

/// Searches the active generation.
///
/// ```
/// use stockade_search_sync::memory::MemoryIndex;
/// use stockade_search_sync::{
///     FacetRequest, Filter, Generation, IndexWriter, Projection, SearchIndex, SearchQuery,
///     TotalHits,
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), stockade_search_sync::SearchError> {
/// let index = MemoryIndex::new();
/// # let generation = Generation::new("products-1")?;
/// # index.create(&generation, &Projection::catalog()).await?;
/// # index.activate(&generation).await?;
/// let query = SearchQuery::text("red lamp")
///     .with_filter(Filter::terms("brand", ["Northlight", "Osterman"]))
///     .with_facet(FacetRequest::new("attributes.material"));
/// let page = index.search(&query).await?;
/// assert_eq!(page.total, TotalHits::Exactly(0)); // nothing was written yet
/// assert!(page.facets[0].values.is_empty());
///
/// let suggestions = index.suggest("red la", 8).await?;
/// assert!(suggestions.is_empty());
/// # Ok(())
/// # }
/// ```
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
#[auto_impl(&, Box, Arc)]
pub trait SearchIndex: Send + Sync {
    /// The hits of one page, and the facets of the whole result.
    ///
    /// The cost of any query is bounded. A query over the limits of [`SearchQuery`] is refused. Its
    /// text is never parsed as a query language.
    ///
    /// # Errors
    /// [`SearchError::Invalid`] naming the part of the query, [`SearchError::NothingActive`],
    /// [`SearchError::Failed`] and similar errors.
    async fn search(&self, query: &SearchQuery) -> Result<SearchPage, SearchError>;

    /// At most `limit` (1 to 20) titles that complete `prefix`, the best first. None for an empty
    /// prefix.
    ///
    /// # Errors
    /// As for [`search`](SearchIndex::search).
    async fn suggest(&self, prefix: &str, limit: usize) -> Result<Vec<Suggestion>, SearchError>;

    /// The features that this index does not support, and the consequences. Empty if it supports
    /// all.
    fn limitations(&self) -> Vec<Limitation>;
}

/// A feature that an index does not support.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limitation {
    /// What is missing, for example `accent folding`.
    pub missing: String,
    /// What follows, for example "`cafe` does not find `café`".
    pub consequence: String,
}

impl Limitation {
    /// A limitation.
    #[must_use]
    pub fn new(missing: impl Into<String>, consequence: impl Into<String>) -> Self {
        Self {
            missing: missing.into(),
            consequence: consequence.into(),
        }
    }
}
