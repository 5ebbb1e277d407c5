//! Mocks of the traits, made by [`mockall`], for your tests. They check which calls are made, and
//! return what the test sets.
//!
//! A mock keeps no rule of the traits. If a test needs an index that does, use the one in
//! [`memory`](crate::memory).
//!
//! ```
//! use std::sync::Arc;
//!
//! use stockade_search_sync::mock::MockSearchIndex;
//! use stockade_search_sync::{SearchError, SearchIndex};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let mut mock = MockSearchIndex::new();
//! mock.expect_suggest()
//!     .withf(|prefix, limit| prefix == "tee" && *limit == 5)
//!     .returning(|_, _| Err(SearchError::NothingActive));
//!
//! let index: Arc<dyn SearchIndex> = Arc::new(mock);
//! assert!(matches!(index.suggest("tee", 5).await, Err(SearchError::NothingActive)));
//! # }
//! ```

use std::num::NonZeroUsize;

use async_trait::async_trait;
use mockall::mock;

use crate::document::DocumentId;
use crate::error::SearchError;
use crate::index::{
    DocumentWrite, Generation, GenerationState, IndexWriter, Loaded, WriteConcurrency,
};
use crate::projection::Projection;

pub use crate::index::MockSearchIndex;

// `automock` can not name the lifetimes of optional references.
mock! {
    /// Mocks [`IndexWriter`].
    pub IndexWriter {}

    #[async_trait]
    impl IndexWriter for IndexWriter {
        fn concurrency(&self) -> WriteConcurrency;
        async fn create(
            &self,
            generation: &Generation,
            projection: &Projection,
        ) -> Result<(), SearchError>;
        async fn activate(&self, generation: &Generation) -> Result<(), SearchError>;
        async fn generations(&self) -> Result<Vec<(Generation, GenerationState)>, SearchError>;
        async fn remove(&self, generation: &Generation) -> Result<(), SearchError>;
        async fn load(
            &self,
            generation: &Generation,
            ids: &[DocumentId],
        ) -> Result<Vec<Result<Loaded, SearchError>>, SearchError>;
        async fn write(
            &self,
            generation: &Generation,
            writes: Vec<DocumentWrite>,
        ) -> Result<Vec<Result<(), SearchError>>, SearchError>;
        async fn scan<'a, 'b, 'c>(
            &'a self,
            generation: &'b Generation,
            after: Option<&'c DocumentId>,
            limit: NonZeroUsize,
        ) -> Result<Vec<DocumentId>, SearchError>;
    }
}
