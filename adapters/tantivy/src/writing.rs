//! Writing the generations of the index.

use std::num::NonZeroUsize;
use std::sync::{Arc, PoisonError};

use async_trait::async_trait;
use stockade_search_sync::{
    DocumentId, DocumentWrite, Generation, GenerationState, IndexWriter, Loaded, Projection,
    SearchError, WriteConcurrency,
};
use tracing::instrument;

use crate::error::blocking;
use crate::generation::GenerationIndex;
use crate::index::{Inner, TantivyIndex};
use crate::store::{Store, StoredGeneration};

#[async_trait]
impl IndexWriter for TantivyIndex {
    fn concurrency(&self) -> WriteConcurrency {
        WriteConcurrency::CompareAndSet
    }

    async fn create(
        &self,
        generation: &Generation,
        projection: &Projection,
    ) -> Result<(), SearchError> {
        projection.validate()?;
        let (name, projection) = (generation.clone(), projection.clone());
        self.change("create", move |inner| {
            if inner.named(&name).is_ok() {
                return Ok(());
            }
            let number = inner.store.create(&name, &projection)?;
            let generation = inner.open_generation(StoredGeneration {
                name: name.clone(),
                number,
                projection,
            })?;
            inner.set(|generations| {
                generations.by_name.insert(name, Arc::new(generation));
            });
            Ok(())
        })
        .await
    }

    async fn activate(&self, generation: &Generation) -> Result<(), SearchError> {
        let generation = generation.clone();
        self.change("activate", move |inner| {
            inner.named(&generation)?;
            inner.store.activate(&generation)?;
            inner.set(|generations| generations.active = Some(generation));
            Ok(())
        })
        .await
    }

    async fn generations(&self) -> Result<Vec<(Generation, GenerationState)>, SearchError> {
        let generations = self.inner.generations();
        let state = |name: &Generation| match &generations.active {
            Some(active) if active == name => GenerationState::Active,
            _ => GenerationState::Standby,
        };
        let names = generations.by_name.keys();
        Ok(names.map(|name| (name.clone(), state(name))).collect())
    }

    async fn remove(&self, generation: &Generation) -> Result<(), SearchError> {
        let name = generation.clone();
        self.change("remove", move |inner| {
            if inner.generations().active.as_ref() == Some(&name) {
                let reason = "it is active; activate another one first";
                return Err(SearchError::invalid("generation", name.as_str(), reason));
            }
            let Ok(generation) = inner.named(&name) else {
                return Ok(());
            };
            inner.store.remove(&name, generation.number)?;
            inner.set(|generations| {
                generations.by_name.remove(&name);
            });
            generation.remove();
            Ok(())
        })
        .await
    }

    async fn load(
        &self,
        generation: &Generation,
        ids: &[DocumentId],
    ) -> Result<Vec<Result<Loaded, SearchError>>, SearchError> {
        let ids = ids.to_vec();
        self.with("load", generation, move |store, generation| {
            store.load(generation.number, &ids)
        })
        .await
    }

    #[instrument(skip_all, fields(%generation, documents = writes.len()))]
    async fn write(
        &self,
        generation: &Generation,
        writes: Vec<DocumentWrite>,
    ) -> Result<Vec<Result<(), SearchError>>, SearchError> {
        self.with("write", generation, move |store, generation| {
            let outcomes = store.write(&generation.name, generation.number, &writes)?;
            generation.set_changed();
            generation.refresh(store);
            Ok(outcomes)
        })
        .await
    }

    async fn scan(
        &self,
        generation: &Generation,
        after: Option<&DocumentId>,
        limit: NonZeroUsize,
    ) -> Result<Vec<DocumentId>, SearchError> {
        let after = after.cloned();
        self.with("scan", generation, move |store, generation| {
            store.scan(generation.number, after.as_ref(), limit)
        })
        .await
    }
}

impl TantivyIndex {
    /// Runs blocking work with the generation of that name.
    async fn with<T: Send + 'static>(
        &self,
        operation: &'static str,
        name: &Generation,
        work: impl FnOnce(&Store, &GenerationIndex) -> Result<T, SearchError> + Send + 'static,
    ) -> Result<T, SearchError> {
        let generation = self.inner.named(name)?;
        let inner = self.inner.clone();
        blocking(operation, move || {
            work(&inner.store, &generation).or_else(|error| {
                // If it was removed meanwhile, that is the reason.
                inner.named(&generation.name)?;
                Err(error)
            })
        })
        .await
    }

    /// Creates, activates or removes a generation. One such change is made at a time.
    async fn change(
        &self,
        operation: &'static str,
        change: impl FnOnce(&Inner) -> Result<(), SearchError> + Send + 'static,
    ) -> Result<(), SearchError> {
        let inner = self.inner.clone();
        blocking(operation, move || {
            let _changing = inner.change.lock().unwrap_or_else(PoisonError::into_inner);
            change(&inner)
        })
        .await
    }
}

impl Inner {
    fn named(&self, name: &Generation) -> Result<Arc<GenerationIndex>, SearchError> {
        let known = self.generations().by_name.get(name).cloned();
        known.ok_or_else(|| SearchError::UnknownGeneration {
            generation: name.clone(),
        })
    }
}
