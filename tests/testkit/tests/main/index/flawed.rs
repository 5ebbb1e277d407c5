//! An index in front of the one in memory that breaks one rule, and the cases that tell.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use stockade_search_sync::memory::MemoryIndex;
use stockade_search_sync::{
    Document, DocumentId, DocumentWrite, Facet, Generation, GenerationState, IndexWriter, Lack,
    Loaded, Projection, Revision, SearchError, SearchIndex, SearchPage, SearchQuery, Suggestion,
    View, WriteConcurrency, WriteOutcome,
};
use stockade_testkit::index::{IndexHarness, concurrency_cases, writer_cases};
use stockade_testkit::search::{SearchHarness, search_cases};
use stockade_testkit::{Absent, Harness};

use crate::fails::assert_fails;

/// The rule that an index breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    /// Does not keep what is not shown: a deletion leaves nothing behind.
    ForgetsTheHidden,
    /// Writes whatever was expected.
    LosesConcurrentWrites,
    /// Goes on showing what was shown last.
    ShowsTheHidden,
    /// Counts only what passes all filters.
    FacetsKeepTheirFilter,
}

const FLAWS: [Flaw; 4] = [
    Flaw::ForgetsTheHidden,
    Flaw::LosesConcurrentWrites,
    Flaw::ShowsTheHidden,
    Flaw::FacetsKeepTheirFilter,
];

type Key = (Generation, DocumentId);

struct FlawedIndex {
    flaw: Flaw,
    index: MemoryIndex,
    /// The last view of each document, none once it is hidden.
    views: Mutex<HashMap<Key, Option<View>>>,
}

impl FlawedIndex {
    fn views(&self) -> MutexGuard<'_, HashMap<Key, Option<View>>> {
        self.views.lock().unwrap()
    }

    async fn revision(&self, of: &Key) -> Revision {
        let loaded = self.index.load(&of.0, std::slice::from_ref(&of.1)).await;
        let loaded = loaded.and_then(|mut loaded| loaded.remove(0));
        loaded.map_or(Revision::Absent, |loaded| loaded.revision)
    }

    fn forgets(&self, of: &Key) -> bool {
        self.flaw == Flaw::ForgetsTheHidden
            && matches!(of.1, DocumentId::Root(_))
            && self.views().get(of).is_some_and(Option::is_none)
    }

    async fn write_one(
        &self,
        of: Key,
        mut write: DocumentWrite,
    ) -> Result<WriteOutcome, SearchError> {
        let forgotten = self.forgets(&of) && write.expected == Revision::Absent;
        if self.flaw == Flaw::LosesConcurrentWrites {
            // Long enough for another one to load what this one is about to replace.
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        if forgotten || self.flaw == Flaw::LosesConcurrentWrites {
            write.expected = self.revision(&of).await;
        }
        if self.flaw == Flaw::ShowsTheHidden && write.view.is_none() {
            write.view = self.views().get(&of).cloned().flatten();
        }
        let view = write.view.clone();
        let outcome = self.index.write(&of.0, vec![write]).await?.remove(0);
        if outcome == WriteOutcome::Durable {
            self.views().insert(of, view);
        }
        Ok(outcome)
    }

    /// Counts the values of a field in what passes all filters.
    async fn count(&self, query: &SearchQuery, facet: &mut Facet) -> Result<(), SearchError> {
        let whole = SearchQuery {
            facets: Vec::new(),
            size: 100,
            cursor: None,
            ..query.clone()
        };
        let mut counts = BTreeMap::new();
        for hit in self.index.search(&whole).await?.hits {
            for value in hit.view.fields.get(&facet.field).into_iter().flatten() {
                *counts.entry(value.to_string()).or_insert(0) += 1;
            }
        }
        let size = facet.values.len();
        facet.values = counts.into_iter().collect();
        facet
            .values
            .sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        facet.values.truncate(size);
        Ok(())
    }
}

#[async_trait]
impl IndexWriter for FlawedIndex {
    fn concurrency(&self) -> WriteConcurrency {
        WriteConcurrency::CompareAndSet
    }

    async fn create(
        &self,
        generation: &Generation,
        projection: &Projection,
    ) -> Result<(), SearchError> {
        self.index.create(generation, projection).await
    }

    async fn activate(&self, generation: &Generation) -> Result<(), SearchError> {
        self.index.activate(generation).await
    }

    async fn generations(&self) -> Result<Vec<(Generation, GenerationState)>, SearchError> {
        self.index.generations().await
    }

    async fn remove(&self, generation: &Generation) -> Result<(), SearchError> {
        self.index.remove(generation).await
    }

    async fn load(
        &self,
        generation: &Generation,
        ids: &[DocumentId],
    ) -> Result<Vec<Result<Loaded, SearchError>>, SearchError> {
        let mut loaded = self.index.load(generation, ids).await?;
        for loaded in loaded.iter_mut().flatten() {
            let id = loaded.document.id.clone();
            if self.forgets(&(generation.clone(), id.clone())) {
                *loaded = Loaded::new(Document::new(id), Revision::Absent);
            }
        }
        Ok(loaded)
    }

    async fn write(
        &self,
        generation: &Generation,
        writes: Vec<DocumentWrite>,
    ) -> Result<Vec<WriteOutcome>, SearchError> {
        let mut outcomes = Vec::new();
        for write in writes {
            let of = (generation.clone(), write.document.id.clone());
            outcomes.push(self.write_one(of, write).await?);
        }
        Ok(outcomes)
    }

    async fn scan(
        &self,
        generation: &Generation,
        after: Option<&DocumentId>,
        limit: usize,
    ) -> Result<Vec<DocumentId>, SearchError> {
        self.index.scan(generation, after, limit).await
    }
}

#[async_trait]
impl SearchIndex for FlawedIndex {
    async fn search(&self, query: &SearchQuery) -> Result<SearchPage, SearchError> {
        let mut page = self.index.search(query).await?;
        if self.flaw == Flaw::FacetsKeepTheirFilter {
            for facet in &mut page.facets {
                self.count(query, facet).await?;
            }
        }
        Ok(page)
    }

    async fn suggest(&self, prefix: &str, limit: usize) -> Result<Vec<Suggestion>, SearchError> {
        self.index.suggest(prefix, limit).await
    }

    fn lacks(&self) -> Vec<Lack> {
        self.index.lacks()
    }
}

struct Built<const FLAW: usize>(Arc<FlawedIndex>);

#[async_trait]
impl<const FLAW: usize> Harness for Built<FLAW> {
    const BACKEND: &'static str = "memory";

    async fn open() -> Result<Self, Absent> {
        Ok(Self(Arc::new(FlawedIndex {
            flaw: FLAWS[FLAW],
            index: MemoryIndex::new(),
            views: Mutex::default(),
        })))
    }
}

impl<const FLAW: usize> IndexHarness for Built<FLAW> {
    fn writer(&self) -> Arc<dyn IndexWriter> {
        self.0.clone()
    }
}

impl<const FLAW: usize> SearchHarness for Built<FLAW> {
    fn search(&self) -> Arc<dyn SearchIndex> {
        self.0.clone()
    }

    fn patience(&self) -> Duration {
        Duration::from_millis(500)
    }
}

type ForgetsTheHidden = Built<{ Flaw::ForgetsTheHidden as usize }>;
type LosesConcurrentWrites = Built<{ Flaw::LosesConcurrentWrites as usize }>;
type ShowsTheHidden = Built<{ Flaw::ShowsTheHidden as usize }>;
type FacetsKeepTheirFilter = Built<{ Flaw::FacetsKeepTheirFilter as usize }>;

#[test]
fn resurrects_a_deleted_document() {
    assert_fails::<ForgetsTheHidden>(
        &writer_cases(),
        &[
            "a_deleted_product_stays_deleted",
            "a_document_comes_back_exactly",
            "a_hidden_document_comes_back_too",
            "a_view_may_come_and_go",
            "generations_are_isolated",
            "ids_are_kept_apart",
        ],
        "a deleted product came back with an older row",
    );
    assert_fails::<ForgetsTheHidden>(
        &concurrency_cases(),
        &[
            "a_hidden_document_is_compared_too",
            "concurrent_workers_make_one_document",
            "each_write_has_its_own_outcome",
        ],
        "another write was lost: it is hidden, not absent",
    );
    assert_fails::<ForgetsTheHidden>(
        &search_cases(),
        &["a_deleted_product_is_not_found_when_older_rows_come_again"],
        "a deleted product came back with an older row",
    );
}

#[test]
fn loses_one_of_two_concurrent_writes() {
    assert_fails::<LosesConcurrentWrites>(
        &concurrency_cases(),
        &[
            "concurrent_merges_lose_nothing",
            "concurrent_workers_make_one_document",
            "one_of_many_writers_wins",
            "one_document_twice_in_a_call_has_one_winner",
            "a_stale_revision_conflicts",
            "absent_conflicts_with_what_is_there",
            "a_revision_of_what_is_not_there_conflicts",
            "a_revision_does_not_come_back_with_its_content",
            "a_hidden_document_is_compared_too",
            "each_write_has_its_own_outcome",
        ],
        "a concurrent write was lost",
    );
}

#[test]
fn shows_the_hidden() {
    assert_fails::<ShowsTheHidden>(
        &search_cases(),
        &[
            "what_is_hidden_is_found_no_more",
            "a_deleted_product_is_not_found_when_older_rows_come_again",
        ],
        "both are hidden again: not so after",
    );
}

#[test]
fn facets_keep_their_own_filter() {
    assert_fails::<FacetsKeepTheirFilter>(
        &search_cases(),
        &[
            "a_facet_leaves_its_own_filter_out",
            "facets_heed_the_other_filters",
        ],
        "a facet stays complete when one of its values is chosen",
    );
}
