//! An index over the one in memory that breaks one rule.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use stockade_change_feed::Failure;
use stockade_search_sync::memory::MemoryIndex;
use stockade_search_sync::{
    Document, DocumentId, DocumentWrite, Facet, Generation, GenerationState, IndexWriter,
    Limitation, Loaded, Projection, Revision, SearchError, SearchIndex, SearchPage, SearchQuery,
    Suggestion, View, WriteConcurrency,
};
use stockade_testkit::index::IndexHarness;
use stockade_testkit::search::SearchHarness;
use stockade_testkit::{Absent, Harness, Reopen};

/// How long a write stays unseen by scans, by loads, or by the disk.
const DELAY: Duration = Duration::from_millis(50);

/// The rule that an index breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    None,
    /// A hidden document is deleted.
    ForgetsTheHidden,
    /// Revisions are not compared.
    IgnoresRevisions,
    /// Revisions are compared before the write, in another step.
    ComparesBeforeTheWrite,
    /// Every third write is made, and its error says that nothing took effect.
    DeniesItsWrites,
    /// A write is answered before it is durable.
    AnswersBeforeItIsDurable,
    /// A load returns the state of some time ago.
    LoadsLate,
    /// A scan misses the newest documents.
    ScansLate,
    /// A hidden document is still found.
    ShowsTheHidden,
    /// A facet counts only what passes all filters.
    FacetsKeepTheirFilter,
    /// The last words of a long text count, not the first.
    ReadsTheLastWords,
}

type Key = (Generation, DocumentId);

/// The last write of a document.
struct Last {
    at: Instant,
    view: Option<View>,
    /// The document before it.
    before: Loaded,
}

pub(super) struct FlawedIndex {
    flaw: Flaw,
    index: MemoryIndex,
    last: Mutex<HashMap<Key, Last>>,
    writes: Mutex<u32>,
}

impl FlawedIndex {
    fn new(flaw: Flaw) -> Self {
        Self {
            flaw,
            index: MemoryIndex::new(),
            last: Mutex::default(),
            writes: Mutex::default(),
        }
    }

    fn last(&self) -> MutexGuard<'_, HashMap<Key, Last>> {
        self.last.lock().unwrap()
    }

    async fn stored(&self, of: &Key) -> Loaded {
        let loaded = self.index.load(&of.0, std::slice::from_ref(&of.1)).await;
        let absent = Loaded::new(Document::new(of.1.clone()), Revision::Absent);
        loaded.map_or(absent, |mut loaded| loaded.remove(0).unwrap())
    }

    fn is_forgotten(&self, of: &Key) -> bool {
        self.flaw == Flaw::ForgetsTheHidden
            && matches!(of.1, DocumentId::Root(_))
            && self.last().get(of).is_some_and(|last| last.view.is_none())
    }

    /// Whether the last write of a document is younger than the delay.
    fn is_young(&self, of: &Key) -> bool {
        self.last()
            .get(of)
            .is_some_and(|last| last.at.elapsed() < DELAY)
    }

    async fn write_one(&self, of: Key, mut write: DocumentWrite) -> Result<(), SearchError> {
        let mut before = self.stored(&of).await;
        match self.flaw {
            Flaw::ForgetsTheHidden
                if write.expected == Revision::Absent && self.is_forgotten(&of) =>
            {
                write.expected = before.revision.clone();
            }
            Flaw::IgnoresRevisions | Flaw::ComparesBeforeTheWrite => {
                let is_newest = write.expected == before.revision;
                if !is_newest && self.flaw == Flaw::ComparesBeforeTheWrite {
                    let document = of.1;
                    return Err(SearchError::Conflict { document });
                }
                // Long enough for another writer to write the same document.
                tokio::time::sleep(Duration::from_millis(2)).await;
                before = self.stored(&of).await;
                write.expected = before.revision.clone();
            }
            Flaw::ShowsTheHidden if write.view.is_none() => {
                write.view = self.last().get(&of).and_then(|last| last.view.clone());
            }
            _ => {}
        }
        let view = write.view.clone();
        self.index.write(&of.0, vec![write]).await?.remove(0)?;
        let at = Instant::now();
        self.last().insert(of, Last { at, view, before });
        let mut writes = self.writes.lock().unwrap();
        *writes += 1;
        if self.flaw == Flaw::DeniesItsWrites && writes.is_multiple_of(3) {
            return Err(Failure::unavailable("write", Duration::ZERO, "busy").into());
        }
        Ok(())
    }

    /// Removes what is not durable yet.
    async fn crash(&self) {
        let young = std::mem::take(&mut *self.last());
        for (of, last) in young {
            if last.at.elapsed() < DELAY {
                let write = DocumentWrite {
                    document: last.before.document,
                    view: None,
                    expected: self.stored(&of).await.revision,
                };
                let lost = self.index.write(&of.0, vec![write]).await;
                assert!(lost.is_ok_and(|outcomes| outcomes[0].is_ok()));
            }
        }
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
            let of = (generation.clone(), id.clone());
            if self.is_forgotten(&of) {
                *loaded = Loaded::new(Document::new(id), Revision::Absent);
            } else if self.flaw == Flaw::LoadsLate && self.is_young(&of) {
                *loaded = self.last()[&of].before.clone();
            }
        }
        Ok(loaded)
    }

    async fn write(
        &self,
        generation: &Generation,
        writes: Vec<DocumentWrite>,
    ) -> Result<Vec<Result<(), SearchError>>, SearchError> {
        self.index.load(generation, &[]).await?;
        let mut outcomes = Vec::new();
        for write in writes {
            let of = (generation.clone(), write.document.id.clone());
            outcomes.push(self.write_one(of, write).await);
        }
        Ok(outcomes)
    }

    async fn scan(
        &self,
        generation: &Generation,
        after: Option<&DocumentId>,
        limit: NonZeroUsize,
    ) -> Result<Vec<DocumentId>, SearchError> {
        let mut ids = self.index.scan(generation, after, limit).await?;
        if self.flaw == Flaw::ScansLate {
            ids.retain(|id| !self.is_young(&(generation.clone(), id.clone())));
        }
        Ok(ids)
    }
}

#[async_trait]
impl SearchIndex for FlawedIndex {
    async fn search(&self, query: &SearchQuery) -> Result<SearchPage, SearchError> {
        let mut query = query.clone();
        if self.flaw == Flaw::ReadsTheLastWords && query.text.len() < 1_000 {
            let words: Vec<_> = query.text.split_whitespace().collect();
            query.text = words[words.len().saturating_sub(20)..].join(" ");
        }
        let mut page = self.index.search(&query).await?;
        if self.flaw == Flaw::FacetsKeepTheirFilter {
            for facet in &mut page.facets {
                self.count(&query, facet).await?;
            }
        }
        Ok(page)
    }

    async fn suggest(&self, prefix: &str, limit: usize) -> Result<Vec<Suggestion>, SearchError> {
        self.index.suggest(prefix, limit).await
    }

    fn limitations(&self) -> Vec<Limitation> {
        self.index.limitations()
    }
}

/// Opens indexes with a flaw.
pub(super) struct Flawed(Arc<FlawedIndex>);

impl Flawed {
    pub(super) async fn with(flaw: Flaw) -> Result<Self, Absent> {
        Ok(Self(Arc::new(FlawedIndex::new(flaw))))
    }
}

#[async_trait]
impl Harness for Flawed {
    const BACKEND: &'static str = "memory";

    async fn open() -> Result<Self, Absent> {
        Self::with(Flaw::None).await
    }
}

#[async_trait]
impl Reopen for Flawed {
    async fn reopen(self) -> Self {
        if self.0.flaw == Flaw::AnswersBeforeItIsDurable {
            self.0.crash().await;
        }
        self
    }
}

impl IndexHarness for Flawed {
    fn writer(&self) -> Arc<dyn IndexWriter> {
        self.0.clone()
    }
}

impl SearchHarness for Flawed {
    fn search(&self) -> Arc<dyn SearchIndex> {
        self.0.clone()
    }

    fn patience(&self) -> Duration {
        Duration::from_millis(500)
    }
}
