//! The trait for writing an index.

use std::num::NonZeroUsize;

use async_trait::async_trait;
use auto_impl::auto_impl;

use super::generation::{Generation, GenerationState};
use crate::document::{Document, DocumentId, View};
use crate::error::SearchError;
use crate::projection::Projection;

/// Writes documents into the generations of an index.
///
/// Several writers may change one document at the same time: workers of other partitions, of other
/// tables, of stock, or a worker that was replaced because it seemed dead. So a writer loads the
/// document with its revision, merges its change, and writes the document only if that revision is
/// still the newest.
///
/// [`load`](Self::load) and [`write`](Self::write) return a result for each item. If the whole call
/// fails, nothing was written, unless [`SearchError::retry`] is
/// [`OutcomeUnknown`](stockade_change_feed::Retry::OutcomeUnknown): then each document may be
/// written or not.
///
/// ```
/// use stockade_search_sync::memory::MemoryIndex;
/// use stockade_search_sync::{
///     Document, DocumentId, DocumentWrite, Generation, IndexWriter, Projection, SearchError,
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), SearchError> {
/// let index = MemoryIndex::new();
/// let generation = Generation::new("products-1")?;
/// index.create(&generation, &Projection::catalog()).await?;
///
/// let lamp = DocumentId::Root("lamp".to_owned());
/// let loaded = index.load(&generation, &[lamp.clone()]).await?.remove(0)?;
/// let write = DocumentWrite {
///     document: Document::new(lamp),
///     view: None,
///     expected: loaded.revision,
/// };
/// let first = index.write(&generation, vec![write.clone()]).await?.remove(0);
/// assert!(first.is_ok());
///
/// // The document has changed since it was loaded.
/// let second = index.write(&generation, vec![write]).await?.remove(0);
/// assert!(matches!(second, Err(SearchError::Conflict { .. })));
/// # Ok(())
/// # }
/// ```
#[async_trait]
#[auto_impl(&, Box, Arc)]
pub trait IndexWriter: Send + Sync {
    /// How many workers may write at the same time.
    fn concurrency(&self) -> WriteConcurrency;

    /// Creates a generation for a projection. A generation that exists is not changed, even if it
    /// was created for another projection: a changed projection needs a new generation.
    ///
    /// # Errors
    /// [`SearchError::Invalid`] for a projection that is not usable. [`SearchError::Unsupported`]
    /// if the server does not support the projection; this call fails then, not a later query.
    async fn create(
        &self,
        generation: &Generation,
        projection: &Projection,
    ) -> Result<(), SearchError>;

    /// Makes a generation the active one, in one step.
    ///
    /// # Errors
    /// [`SearchError::UnknownGeneration`], [`SearchError::Failed`] and similar errors.
    async fn activate(&self, generation: &Generation) -> Result<(), SearchError>;

    /// All generations, ordered by name, each with its state.
    ///
    /// # Errors
    /// [`SearchError::Failed`] and similar errors.
    async fn generations(&self) -> Result<Vec<(Generation, GenerationState)>, SearchError>;

    /// Removes a generation and its documents. Removing a generation that does not exist succeeds.
    ///
    /// # Errors
    /// [`SearchError::Invalid`] for the active generation.
    async fn remove(&self, generation: &Generation) -> Result<(), SearchError>;

    /// The newest state of each document, in the order of `ids`. It contains every write that
    /// returned before this call, even if searches do not find that write yet. Each document has
    /// its own result:
    ///
    /// - [`SearchError::Damaged`] for a document that [`Document::decode`] can't read. The other
    ///   documents are returned.
    /// - [`SearchError::Failed`] for a document that can't be loaded now, but may be later.
    ///
    /// # Errors
    /// [`SearchError::UnknownGeneration`], [`SearchError::Failed`] and similar errors, for all
    /// documents together.
    async fn load(
        &self,
        generation: &Generation,
        ids: &[DocumentId],
    ) -> Result<Vec<Result<Loaded, SearchError>>, SearchError>;

    /// Writes each document whose revision is still the newest, in bulk, and returns a result for
    /// each document, in their order. `Ok` means: the document is durable, later loads and scans
    /// see it, and searches find it soon after. Comparing the revision and writing are one atomic
    /// step. Errors of single documents:
    ///
    /// - [`SearchError::Conflict`]: the document has changed since it was loaded.
    /// - [`SearchError::Refused`]: the index can never take the document, for example because of
    ///   its size.
    /// - [`SearchError::Failed`]: load, merge and write the document again.
    ///
    /// A document whose error is not [`OutcomeUnknown`](stockade_change_feed::Retry) was not
    /// written.
    ///
    /// # Errors
    /// [`SearchError::UnknownGeneration`], [`SearchError::Failed`] and similar errors, for all
    /// documents together.
    async fn write(
        &self,
        generation: &Generation,
        writes: Vec<DocumentWrite>,
    ) -> Result<Vec<Result<(), SearchError>>, SearchError>;

    /// At most `limit` ids of [`DocumentId::Root`] documents, including hidden ones, in a fixed
    /// order, from the first id after `after`. An empty page is the end.
    ///
    /// Finds every document whose write returned before the scan began, because a truncation must
    /// not miss one.
    ///
    /// # Errors
    /// [`SearchError::UnknownGeneration`], [`SearchError::Failed`] and similar errors.
    async fn scan(
        &self,
        generation: &Generation,
        after: Option<&DocumentId>,
        limit: NonZeroUsize,
    ) -> Result<Vec<DocumentId>, SearchError>;
}

/// How many workers may write an index at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteConcurrency {
    /// Any number: the index refuses a write whose revision is no longer the newest.
    CompareAndSet,
    /// One: the index does not compare revisions. One [`Ingest`](crate::Ingest) in one process must
    /// read all topics, and the operator must make sure that there is no other writer.
    SingleWriter,
}

/// The state of a document that a write is based on. An index defines it, and only that index can
/// interpret it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Revision {
    /// The document does not exist.
    Absent,
    /// The document exists, in this state.
    At(String),
}

/// A document as it was loaded.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Loaded {
    /// The document. It is empty if it does not exist.
    pub document: Document,
    /// The revision that a write of it must expect.
    pub revision: Revision,
}

impl Loaded {
    /// A loaded document.
    #[must_use]
    pub fn new(document: Document, revision: Revision) -> Self {
        Self { document, revision }
    }
}

/// A document to be written.
///
/// Exhaustive: an index that ignores a field must not compile.
#[derive(Clone, Debug, PartialEq)]
pub struct DocumentWrite {
    /// The document. Later loads must return exactly this document: store it as the text that
    /// [`Document::encode`] returns, for [`Document::decode`].
    pub document: Document,
    /// The view of the document, which is searched. `None` hides the document.
    pub view: Option<View>,
    /// The revision that the document was loaded with.
    pub expected: Revision,
}
