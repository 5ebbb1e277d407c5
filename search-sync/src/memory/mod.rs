//! An index in memory that reads every document for each query: for tests, for experiments, and
//! as the reference for other indexes.

mod matching;
mod search;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::Bound;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use async_trait::async_trait;

use self::matching::Shown;
use crate::document::{Document, DocumentId};
use crate::error::SearchError;
use crate::index::{
    DocumentWrite, Generation, GenerationState, IndexWriter, Loaded, Revision, WriteConcurrency,
};
use crate::projection::Projection;

/// An index in memory. Any number of workers may write it, and searches find a document as soon as
/// it is written.
///
/// How text is matched:
///
/// - Text is split into words, without accents and case. A blank text matches everything. A text
///   without letters and digits matches only documents that have it as an identifier.
/// - [`QueryText`](crate::analysis::QueryText) says which words match a word of the query, and
///   [`SearchedText`](crate::analysis::SearchedText) which text of a document is searched.
/// - Of one or two words all must match, of more at least two thirds.
/// - The order: first documents with an identifier that equals the whole text, then documents that
///   match more words, then documents that match better. Rare words count more than common ones,
///   an exact match counts more than a prefix, a prefix more than a typo, and each field counts by
///   its weight.
#[derive(Debug, Default)]
pub struct MemoryIndex {
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    generations: BTreeMap<Generation, Documents>,
    active: Option<Generation>,
    revisions: u64,
}

#[derive(Debug)]
struct Documents {
    projection: Projection,
    entries: BTreeMap<DocumentId, Entry>,
}

#[derive(Debug)]
struct Entry {
    revision: u64,
    /// The encoded rows. They are stored and not searched.
    rows: String,
    shown: Option<Shown>,
}

impl MemoryIndex {
    /// An index without generations.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn documents(&self, generation: &Generation) -> Result<&Documents, SearchError> {
        let unknown = || SearchError::UnknownGeneration {
            generation: generation.clone(),
        };
        self.generations.get(generation).ok_or_else(unknown)
    }

    fn active(&self) -> Result<&Documents, SearchError> {
        match &self.active {
            Some(generation) => self.documents(generation),
            None => Err(SearchError::NothingActive),
        }
    }

    fn write(
        &mut self,
        generation: &Generation,
        writes: Vec<DocumentWrite>,
    ) -> Result<Vec<Result<(), SearchError>>, SearchError> {
        let Some(documents) = self.generations.get_mut(generation) else {
            let generation = generation.clone();
            return Err(SearchError::UnknownGeneration { generation });
        };
        let projection = &documents.projection;
        let write = |write: DocumentWrite| {
            let document = write.document.id.clone();
            if revision(documents.entries.get(&document)) != write.expected {
                return Err(SearchError::Conflict { document });
            }
            self.revisions += 1;
            let entry = Entry {
                revision: self.revisions,
                rows: write.document.encode(),
                shown: write.view.map(|view| Shown::new(view, projection)),
            };
            documents.entries.insert(document, entry);
            Ok(())
        };
        Ok(writes.into_iter().map(write).collect())
    }
}

fn revision(entry: Option<&Entry>) -> Revision {
    entry.map_or(Revision::Absent, |entry| {
        Revision::At(entry.revision.to_string())
    })
}

#[async_trait]
impl IndexWriter for MemoryIndex {
    fn concurrency(&self) -> WriteConcurrency {
        WriteConcurrency::CompareAndSet
    }

    async fn create(
        &self,
        generation: &Generation,
        projection: &Projection,
    ) -> Result<(), SearchError> {
        projection.validate()?;
        let documents = || Documents {
            projection: projection.clone(),
            entries: BTreeMap::new(),
        };
        let mut state = self.change();
        let generations = &mut state.generations;
        generations
            .entry(generation.clone())
            .or_insert_with(documents);
        Ok(())
    }

    async fn activate(&self, generation: &Generation) -> Result<(), SearchError> {
        let mut state = self.change();
        state.documents(generation)?;
        state.active = Some(generation.clone());
        Ok(())
    }

    async fn generations(&self) -> Result<Vec<(Generation, GenerationState)>, SearchError> {
        let state = self.read();
        let of = |generation: &Generation| match &state.active {
            Some(active) if active == generation => GenerationState::Active,
            _ => GenerationState::Standby,
        };
        let names = state.generations.keys();
        Ok(names.map(|name| (name.clone(), of(name))).collect())
    }

    async fn remove(&self, generation: &Generation) -> Result<(), SearchError> {
        let mut state = self.change();
        if state.active.as_ref() == Some(generation) {
            let reason = "it is active; activate another one first";
            return Err(SearchError::invalid(
                "generation",
                generation.as_str(),
                reason,
            ));
        }
        state.generations.remove(generation);
        Ok(())
    }

    async fn load(
        &self,
        generation: &Generation,
        ids: &[DocumentId],
    ) -> Result<Vec<Result<Loaded, SearchError>>, SearchError> {
        let state = self.read();
        let entries = &state.documents(generation)?.entries;
        let load = |id: &DocumentId| {
            let entry = entries.get(id);
            let document = match entry {
                Some(entry) => Document::decode(id.clone(), &entry.rows)?,
                None => Document::new(id.clone()),
            };
            Ok(Loaded::new(document, revision(entry)))
        };
        Ok(ids.iter().map(load).collect())
    }

    async fn write(
        &self,
        generation: &Generation,
        writes: Vec<DocumentWrite>,
    ) -> Result<Vec<Result<(), SearchError>>, SearchError> {
        self.change().write(generation, writes)
    }

    async fn scan(
        &self,
        generation: &Generation,
        after: Option<&DocumentId>,
        limit: NonZeroUsize,
    ) -> Result<Vec<DocumentId>, SearchError> {
        let state = self.read();
        let entries = &state.documents(generation)?.entries;
        let begin = after.map_or(Bound::Unbounded, Bound::Excluded);
        let ids = entries.range((begin, Bound::Unbounded)).map(|(id, _)| id);
        let roots = ids.filter(|id| matches!(id, DocumentId::Root(_)));
        Ok(roots.take(limit.get()).cloned().collect())
    }
}

#[cfg(test)]
mod tests;
