//! The traits for `&T`, `Arc<T>` and `Box<T>`, so that wrappers do not have to forward each call.

use std::num::NonZeroUsize;
use std::sync::Arc;

use async_trait::async_trait;

use super::generation::{Generation, GenerationState};
use super::search::{Limitation, SearchIndex};
use super::writer::{DocumentWrite, IndexWriter, Loaded, WriteConcurrency};
use crate::document::DocumentId;
use crate::error::SearchError;
use crate::projection::Projection;
use crate::query::{SearchPage, SearchQuery, Suggestion};

macro_rules! forward {
    ($($pointer:ty),+) => {$(
        #[async_trait]
        impl<T: IndexWriter + ?Sized> IndexWriter for $pointer {
            fn concurrency(&self) -> WriteConcurrency {
                T::concurrency(self)
            }

            async fn create(
                &self,
                generation: &Generation,
                projection: &Projection,
            ) -> Result<(), SearchError> {
                T::create(self, generation, projection).await
            }

            async fn activate(&self, generation: &Generation) -> Result<(), SearchError> {
                T::activate(self, generation).await
            }

            async fn generations(
                &self,
            ) -> Result<Vec<(Generation, GenerationState)>, SearchError> {
                T::generations(self).await
            }

            async fn remove(&self, generation: &Generation) -> Result<(), SearchError> {
                T::remove(self, generation).await
            }

            async fn load(
                &self,
                generation: &Generation,
                ids: &[DocumentId],
            ) -> Result<Vec<Result<Loaded, SearchError>>, SearchError> {
                T::load(self, generation, ids).await
            }

            async fn write(
                &self,
                generation: &Generation,
                writes: Vec<DocumentWrite>,
            ) -> Result<Vec<Result<(), SearchError>>, SearchError> {
                T::write(self, generation, writes).await
            }

            async fn scan(
                &self,
                generation: &Generation,
                after: Option<&DocumentId>,
                limit: NonZeroUsize,
            ) -> Result<Vec<DocumentId>, SearchError> {
                T::scan(self, generation, after, limit).await
            }
        }

        #[async_trait]
        impl<T: SearchIndex + ?Sized> SearchIndex for $pointer {
            async fn search(&self, query: &SearchQuery) -> Result<SearchPage, SearchError> {
                T::search(self, query).await
            }

            async fn suggest(
                &self,
                prefix: &str,
                limit: usize,
            ) -> Result<Vec<Suggestion>, SearchError> {
                T::suggest(self, prefix, limit).await
            }

            fn limitations(&self) -> Vec<Limitation> {
                T::limitations(self)
            }
        }
    )+};
}

forward!(&T, Arc<T>, Box<T>);

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;
    use crate::memory::MemoryIndex;

    fn is_writer<T: IndexWriter>() {}
    fn is_index<T: SearchIndex>() {}

    #[test]
    fn pointers_to_an_index_are_indexes() {
        is_writer::<&MemoryIndex>();
        is_writer::<&dyn IndexWriter>();
        is_writer::<Arc<dyn IndexWriter>>();
        is_writer::<Box<dyn IndexWriter>>();
        is_index::<&MemoryIndex>();
        is_index::<&dyn SearchIndex>();
        is_index::<Arc<dyn SearchIndex>>();
        is_index::<Box<dyn SearchIndex>>();
    }

    #[test]
    fn every_trait_of_the_crate_is_forwarded() {
        let sources = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
        let (mut folders, mut traits) = (vec![PathBuf::from(sources)], Vec::new());
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let source = fs::read_to_string(path).unwrap();
                let names = source
                    .lines()
                    .filter_map(|line| line.strip_prefix("pub trait "));
                let name = |rest: &str| rest.split([':', '<', ' ']).next().map(str::to_owned);
                traits.extend(names.filter_map(name));
            }
        }
        assert!(!traits.is_empty());
        for name in traits {
            let forwarded = format!("{name} for $pointer");
            assert!(include_str!("forward.rs").contains(&forwarded), "{name}");
        }
    }
}
