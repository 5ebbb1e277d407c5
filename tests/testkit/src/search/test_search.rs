//! Helpers for cases that search an index.

use std::sync::Arc;
use std::time::{Duration, Instant};

use stockade_catalog_core::ProductContent;
use stockade_search_sync::{
    FacetRequest, Filter, SearchError, SearchIndex, SearchPage, SearchQuery, Sort, SortOrder,
    TotalHits,
};

use super::{SearchHarness, assortment};
use crate::index::test_index::{TestIndex, records};

pub(super) fn by(field: &str, order: SortOrder) -> Sort {
    Sort::Field {
        field: field.to_owned(),
        order,
    }
}

pub(super) fn range(field: &str, min: Option<f64>, max: Option<f64>) -> Filter {
    Filter::Range {
        field: field.to_owned(),
        min,
        max,
    }
}

/// A query for all documents, with the most hits that one page may have.
pub(super) fn everything() -> SearchQuery {
    SearchQuery::default().with_size(100)
}

pub(super) fn keys(page: &SearchPage) -> Vec<&str> {
    page.hits.iter().map(|hit| hit.key.as_str()).collect()
}

/// The values of the only facet of a page.
pub(super) fn counted(page: &SearchPage) -> Vec<(&str, u64)> {
    let [facet] = &page.facets[..] else {
        panic!("one facet was requested, not {:?}", page.facets);
    };
    let values = facet.values.iter();
    values
        .map(|(value, count)| (value.as_str(), *count))
        .collect()
}

/// An index that is written and searched. Its methods fail the case if the index breaks a basic rule.
#[derive(Clone)]
pub(super) struct TestSearch {
    pub(super) index: Arc<dyn SearchIndex>,
    pub(super) writer: TestIndex,
    patience: Duration,
}

impl TestSearch {
    /// The index of a harness, without generations.
    pub(super) fn without_generations(harness: &impl SearchHarness) -> Self {
        Self {
            index: harness.search(),
            writer: TestIndex::new(harness.writer()),
            patience: harness.patience(),
        }
    }

    /// The index of a harness, with an active generation and no documents.
    pub(super) async fn empty(harness: &impl SearchHarness) -> Self {
        let search = Self::without_generations(harness);
        search.writer.create().await;
        search.writer.activate().await;
        search
    }

    /// The index of a harness, with all products of the assortment.
    pub(super) async fn open(harness: &impl SearchHarness) -> Self {
        let search = Self::empty(harness).await;
        let (shown, hidden) = (assortment::shown(), assortment::not_shown());
        let contents = shown.iter().chain(&hidden);
        let rows: Vec<_> = contents.flat_map(|content| records(content, 1)).collect();
        search.writer.handle(&rows).await;
        let all = shown.len();
        search
            .until("the whole assortment is found", &everything(), |page| {
                page.hits.len() == all
            })
            .await;
        search
    }

    /// Writes a product at a version.
    pub(super) async fn put(&self, content: &ProductContent, version: u64) {
        self.writer.handle(&records(content, version)).await;
    }

    /// Repeats a query until the answer meets a condition.
    pub(super) async fn until(
        &self,
        what: &str,
        query: &SearchQuery,
        condition: impl Fn(&SearchPage) -> bool,
    ) -> SearchPage {
        let started = Instant::now();
        loop {
            let page = self.ask(query).await;
            if condition(&page) {
                return page;
            }
            assert!(
                started.elapsed() < self.patience,
                "{what}: not within {:?}; found {:?}",
                self.patience,
                keys(&page)
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The answer to a query, which must succeed.
    pub(super) async fn ask(&self, query: &SearchQuery) -> SearchPage {
        let page = self.index.search(query).await;
        let page = page.unwrap_or_else(|error| panic!("{query:?} failed: {error}"));
        assert!(page.hits.len() <= query.size, "no more hits than requested");
        assert_eq!(
            page.facets.len(),
            query.facets.len(),
            "each facet is counted"
        );
        page
    }

    /// The keys of the hits of a text, the best first.
    pub(super) async fn find(&self, text: &str) -> Vec<String> {
        let page = self.ask(&SearchQuery::text(text).with_size(100)).await;
        keys(&page).into_iter().map(str::to_owned).collect()
    }

    /// The keys of the documents that pass these filters, sorted.
    pub(super) async fn filtered(&self, filters: impl IntoIterator<Item = Filter>) -> Vec<String> {
        let query = filters
            .into_iter()
            .fold(everything(), SearchQuery::with_filter);
        let page = self.ask(&query).await;
        let found = page.hits.len() as u64;
        match page.total {
            TotalHits::Exactly(total) => assert_eq!(total, found, "{query:?}"),
            TotalHits::AtLeast(total) => assert!(total <= found, "{query:?}"),
        }
        let mut keys: Vec<String> = keys(&page).into_iter().map(str::to_owned).collect();
        keys.sort_unstable();
        keys
    }

    /// The values of a field and how many hits have each.
    pub(super) async fn count(&self, field: &str, query: SearchQuery) -> Vec<(String, u64)> {
        let page = self.ask(&query.with_facet(FacetRequest::new(field))).await;
        counted(&page)
            .into_iter()
            .map(|(value, count)| (value.to_owned(), count))
            .collect()
    }

    /// Expects that a query is refused, and that the error names this part.
    pub(super) async fn refuses(&self, query: &SearchQuery, part: &str) {
        match self.index.search(query).await {
            Err(SearchError::Invalid { field, .. }) => {
                assert!(
                    field.starts_with(part),
                    "the error must name {part}, not {field}"
                );
            }
            other => panic!("a query with a bad {part} was not refused: {other:?}"),
        }
    }
}
