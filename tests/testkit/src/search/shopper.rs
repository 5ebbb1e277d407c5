//! Short words for what cases do with a search index.

use std::sync::Arc;
use std::time::{Duration, Instant};

use stockade_catalog_core::ProductContent;
use stockade_search_sync::{
    FacetRequest, Filter, Order, SearchError, SearchIndex, SearchPage, SearchQuery, Sort, Total,
};

use super::{SearchHarness, assortment};
use crate::index::shelf::{Shelf, records};

pub(super) fn by(field: &str, order: Order) -> Sort {
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

/// As many hits as one page may have.
pub(super) fn everything() -> SearchQuery {
    SearchQuery::default().with_size(100)
}

pub(super) fn keys(page: &SearchPage) -> Vec<&str> {
    page.hits.iter().map(|hit| hit.key.as_str()).collect()
}

/// The values of the only facet of a page.
pub(super) fn counted(page: &SearchPage) -> Vec<(&str, u64)> {
    let [facet] = &page.facets[..] else {
        panic!("one facet was asked for, not {:?}", page.facets);
    };
    let values = facet.values.iter();
    values
        .map(|(value, count)| (value.as_str(), *count))
        .collect()
}

/// An index, and the words for asking it.
#[derive(Clone)]
pub(super) struct Shopper {
    pub(super) index: Arc<dyn SearchIndex>,
    pub(super) shelf: Shelf,
    patience: Duration,
}

impl Shopper {
    /// The index of a harness, without generations.
    pub(super) fn before_activation(harness: &impl SearchHarness) -> Self {
        Self {
            index: harness.search(),
            shelf: Shelf::new(harness.writer()),
            patience: harness.patience(),
        }
    }

    /// The index of a harness, with an active generation and nothing in it.
    pub(super) async fn before_opening(harness: &impl SearchHarness) -> Self {
        let shopper = Self::before_activation(harness);
        shopper.shelf.create().await;
        shopper.shelf.activate().await;
        shopper
    }

    /// The index of a harness, with the assortment in it.
    pub(super) async fn open(harness: &impl SearchHarness) -> Self {
        let shopper = Self::before_opening(harness).await;
        let (shown, hidden) = (assortment::shown(), assortment::not_shown());
        let contents = shown.iter().chain(&hidden);
        let rows: Vec<_> = contents.flat_map(|content| records(content, 1)).collect();
        shopper.shelf.follow(&rows).await;
        let all = shown.len();
        shopper
            .until("the whole assortment is found", &everything(), |page| {
                page.hits.len() == all
            })
            .await;
        shopper
    }

    /// Writes a product at a version.
    pub(super) async fn put(&self, content: &ProductContent, version: u64) {
        self.shelf.follow(&records(content, version)).await;
    }

    /// Asks again and again, until the answer is as it should be.
    pub(super) async fn until(
        &self,
        what: &str,
        query: &SearchQuery,
        is_so: impl Fn(&SearchPage) -> bool,
    ) -> SearchPage {
        let started = Instant::now();
        loop {
            let page = self.ask(query).await;
            if is_so(&page) {
                return page;
            }
            assert!(
                started.elapsed() < self.patience,
                "{what}: not so after {:?}, but {:?}",
                self.patience,
                keys(&page)
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What must have an answer.
    pub(super) async fn ask(&self, query: &SearchQuery) -> SearchPage {
        let page = self.index.search(query).await;
        let page = page.unwrap_or_else(|error| panic!("{query:?} failed: {error}"));
        assert!(page.hits.len() <= query.size, "no more hits than asked for");
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

    /// The keys of what passes these filters, by key.
    pub(super) async fn filtered(&self, filters: impl IntoIterator<Item = Filter>) -> Vec<String> {
        let query = filters
            .into_iter()
            .fold(everything(), SearchQuery::with_filter);
        let page = self.ask(&query).await;
        let found = page.hits.len() as u64;
        match page.total {
            Total::Exactly(total) => assert_eq!(total, found, "{query:?}"),
            Total::AtLeast(total) => assert!(total <= found, "{query:?}"),
        }
        let mut keys: Vec<String> = keys(&page).into_iter().map(str::to_owned).collect();
        keys.sort_unstable();
        keys
    }

    /// How often each value of a field occurs in the answer.
    pub(super) async fn count(&self, field: &str, query: SearchQuery) -> Vec<(String, u64)> {
        let page = self.ask(&query.with_facet(FacetRequest::new(field))).await;
        counted(&page)
            .into_iter()
            .map(|(value, count)| (value.to_owned(), count))
            .collect()
    }

    /// Expects a query to be refused, and that part of it to be named.
    pub(super) async fn refuses(&self, query: &SearchQuery, part: &str) {
        match self.index.search(query).await {
            Err(SearchError::Invalid { field, .. }) => {
                assert!(field.starts_with(part), "{part} is to blame, not {field}");
            }
            other => panic!("a query with a bad {part} was told {other:?}"),
        }
    }
}
