//! The trait that an index implements for being written.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::document::{Document, DocumentId};
use crate::error::SearchError;
use crate::projection::Projection;
use crate::view::View;

/// Writes documents into the generations of an index.
///
/// A document has several possible writers: partitions, tables, stock, a worker that was thought
/// dead. So it is loaded with its revision, merged, and written only if that revision is still
/// the newest.
#[async_trait]
pub trait IndexWriter: Send + Sync {
    /// How many workers may write at once.
    fn concurrency(&self) -> WriteConcurrency;

    /// Creates a generation that is fit for the projection. One that exists stays as it is, also
    /// where it was created for another projection: a changed one is a new generation.
    ///
    /// # Errors
    /// [`SearchError::Lacking`] where the server can't serve it, now rather than at a query.
    async fn create(
        &self,
        generation: &Generation,
        projection: &Projection,
    ) -> Result<(), SearchError>;

    /// Makes a generation the one that is searched, in one step.
    ///
    /// # Errors
    /// [`SearchError::UnknownGeneration`].
    async fn activate(&self, generation: &Generation) -> Result<(), SearchError>;

    /// All generations, in the order of their names, and whether each is searched.
    ///
    /// # Errors
    /// [`SearchError::Failed`] and the like.
    async fn generations(&self) -> Result<Vec<(Generation, GenerationState)>, SearchError>;

    /// Removes a generation and its documents. Removing what is not there succeeds.
    ///
    /// # Errors
    /// [`SearchError::Invalid`] for the active one.
    async fn remove(&self, generation: &Generation) -> Result<(), SearchError>;

    /// The newest state of each document, in the order of `ids`: every write that was answered
    /// before is seen, whether it can be searched yet or not. Each has an outcome of its own:
    ///
    /// - [`SearchError::Damaged`] for what [`Document::decode`] can't read: whoever asks for it
    ///   is told, and others are not held up.
    /// - Any other error where this one can't be loaded for now, and may be later.
    ///
    /// # Errors
    /// [`SearchError::UnknownGeneration`], [`SearchError::Failed`] and the like, for all of
    /// them together.
    async fn load(
        &self,
        generation: &Generation,
        ids: &[DocumentId],
    ) -> Result<Vec<Result<Loaded, SearchError>>, SearchError>;

    /// Writes each document whose revision is still the newest, in bulk, and returns an outcome
    /// for each, in their order. They can be searched soon after.
    ///
    /// # Errors
    /// As for [`load`](IndexWriter::load), for all of them together: each may then be written or
    /// not.
    async fn write(
        &self,
        generation: &Generation,
        writes: Vec<DocumentWrite>,
    ) -> Result<Vec<WriteOutcome>, SearchError>;

    /// At most `limit` ids (at least 1) of [`DocumentId::Root`] documents, hidden ones among
    /// them, in some fixed order after `after`. None means the end.
    ///
    /// Every document whose write was answered before the scan began is among them: a truncation
    /// must not miss one.
    ///
    /// # Errors
    /// As for [`load`](IndexWriter::load).
    async fn scan(
        &self,
        generation: &Generation,
        after: Option<&DocumentId>,
        limit: usize,
    ) -> Result<Vec<DocumentId>, SearchError>;
}

/// How many workers may write an index at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteConcurrency {
    /// Any number: a write is refused when its revision is no longer the newest.
    CompareAndSet,
    /// One: revisions are not compared. One [`Ingest`](crate::Ingest) in one process reads all
    /// topics, and the operator sees to it that nobody else writes.
    SingleWriter,
}

/// One of several complete copies of the documents: 1 to 64 of the characters `a-z 0-9 - _`,
/// beginning with a letter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Generation(String);

impl Generation {
    /// Checks a name.
    ///
    /// # Errors
    /// [`SearchError::Invalid`].
    pub fn new(name: impl Into<String>) -> Result<Self, SearchError> {
        let name = name.into();
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-_".contains(c);
        let begins = name.chars().next().is_some_and(|c| c.is_ascii_lowercase());
        if !begins || name.len() > 64 || !name.chars().all(allowed) {
            let reason = "it is 1 to 64 of the characters a-z 0-9 - _, beginning with a letter";
            return Err(SearchError::invalid("generation", name, reason));
        }
        Ok(Self(name))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Generation {
    type Error = SearchError;

    fn try_from(name: String) -> Result<Self, SearchError> {
        Self::new(name)
    }
}

impl From<Generation> for String {
    fn from(generation: Generation) -> Self {
        generation.0
    }
}

/// Whether a generation is searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GenerationState {
    /// Queries are answered from it.
    Active,
    /// It is being filled, or is kept for the way back.
    Standby,
}

/// Which state of a document a write is based on: made by an index, and understood by it only.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Revision {
    /// The document is not there.
    Absent,
    /// It is there, in this state.
    At(String),
}

/// A document as it was loaded.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Loaded {
    /// The document; an empty one where there is none.
    pub document: Document,
    /// What a write of it has to be based on.
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
    /// The document, given back by later loads exactly as it is: [`Document::encode`] and
    /// [`Document::decode`] keep it as text.
    pub document: Document,
    /// What is searched of it; none keeps it hidden.
    pub view: Option<View>,
    /// What it was merged from.
    pub expected: Revision,
}

/// What became of a write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WriteOutcome {
    /// It is there and stays there.
    Durable,
    /// The document has changed since it was loaded: load, merge and write it again.
    Conflict,
    /// It failed for now, and perhaps took effect: load, merge and write it again.
    Retry {
        /// Why.
        reason: String,
        /// When.
        after: Duration,
    },
    /// It can never succeed: the document is too large, or the index can't hold it.
    Refused {
        /// Why. For its size, this says so, with the size and the most that the index takes.
        reason: String,
    },
}
