//! The stored documents, and the changes that the tantivy index must still apply. A write is durable
//! when it is here; the tantivy index applies it later.

mod generations;

use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use redb::backends::InMemoryBackend;
use redb::{
    Database, DatabaseError, Durability, ReadableDatabase, ReadableTable, TableDefinition,
    WriteTransaction,
};
use stockade_change_feed::Failure;
use stockade_search_sync::{
    Document, DocumentId, DocumentWrite, Generation, Loaded, Revision, SearchError,
};

pub(crate) use self::generations::StoredGeneration;
use crate::error::failed;

/// Larger documents are refused, in bytes.
const LARGEST_DOCUMENT: usize = 16 * 1024 * 1024;
/// Documents with longer ids are refused, in bytes.
const LONGEST_ID: usize = 16 * 1024;

/// The name, the number and the projection of each generation.
const GENERATIONS: TableDefinition<'_, &str, (u64, &str)> = TableDefinition::new("generations");
/// The active generation.
const ACTIVE: TableDefinition<'_, (), &str> = TableDefinition::new("active");
/// The last revision, and the last number of a generation. No number is used twice.
const LAST: TableDefinition<'_, &str, u64> = TableDefinition::new("last");

/// All ids of root documents are in this range.
const ROOTS: (&str, &str) = ("root:", "root;");

/// A document's revision, its rows, and its view if it is shown.
type Stored<'a> = (u64, &'a str, Option<&'a str>);

/// A document that the tantivy index must add, replace or delete.
pub(crate) struct Change {
    pub(crate) key: String,
    /// The view in JSON; `None` if the document is hidden.
    pub(crate) view: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Store {
    database: Database,
}

impl Store {
    pub(crate) fn in_memory(cache: usize) -> Result<Self, SearchError> {
        let mut builder = Database::builder();
        builder.set_cache_size(cache);
        let database = builder.create_with_backend(InMemoryBackend::new());
        Self::new(database.map_err(failed("open"))?)
    }

    pub(crate) fn open(file: &Path, cache: usize) -> Result<Self, SearchError> {
        let mut builder = Database::builder();
        builder.set_cache_size(cache);
        let database = builder.create(file).map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => {
                let why = format!(
                    "{} is already open, in this process or another; only one may open it",
                    file.display()
                );
                Failure::unavailable("open", Duration::from_secs(1), why).into()
            }
            error => failed("open")(error),
        })?;
        Self::new(database)
    }

    fn new(database: Database) -> Result<Self, SearchError> {
        let store = Self { database };
        store.change("open", |transaction| {
            transaction.open_table(GENERATIONS)?;
            transaction.open_table(ACTIVE)?;
            transaction.open_table(LAST)?;
            Ok(())
        })?;
        Ok(store)
    }

    /// Makes changes in one transaction, which is durable when this returns.
    fn change<T>(
        &self,
        operation: &'static str,
        change: impl FnOnce(&WriteTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, SearchError> {
        let begin = || -> Result<_, redb::Error> {
            let transaction = self.database.begin_write()?;
            let result = change(&transaction)?;
            Ok((transaction, result))
        };
        let (transaction, result) = begin().map_err(failed(operation))?;
        // If syncing fails, some of it may be on the disk.
        let unknown = |error| Failure::outcome_unknown(operation, redb::Error::from(error));
        transaction.commit().map_err(unknown)?;
        Ok(result)
    }
}

impl Store {
    pub(crate) fn load(
        &self,
        number: u64,
        ids: &[DocumentId],
    ) -> Result<Vec<Result<Loaded, SearchError>>, SearchError> {
        let names = Names::of(number);
        let read = || -> Result<Vec<_>, redb::Error> {
            let transaction = self.database.begin_read()?;
            let documents = transaction.open_table(names.documents())?;
            let load = |id: &DocumentId| {
                let Some(stored) = documents.get(id.to_string().as_str())? else {
                    return Ok(Ok(Loaded::new(Document::new(id.clone()), Revision::Absent)));
                };
                let (revision, rows, _) = stored.value();
                let document = Document::decode(id.clone(), rows);
                let revision = Revision::At(revision.to_string());
                Ok(document.map(|document| Loaded::new(document, revision)))
            };
            ids.iter().map(load).collect()
        };
        read().map_err(failed("load"))
    }

    /// Writes the documents whose revision is the newest, in one durable transaction.
    pub(crate) fn write(
        &self,
        generation: &Generation,
        number: u64,
        writes: &[DocumentWrite],
    ) -> Result<Vec<Result<(), SearchError>>, SearchError> {
        let encoded: Vec<_> = writes.iter().map(Encoded::new).collect();
        let encoded = encoded.into_iter().collect::<Result<Vec<_>, _>>();
        let encoded = encoded.map_err(failed("write"))?;
        let names = Names::of(number);
        let written = self.change("write", |transaction| {
            let known = transaction.open_table(GENERATIONS)?;
            let known = known.get(generation.as_str())?.map(|it| it.value().0);
            if known != Some(number) {
                return Ok(None);
            }
            let last = increase(transaction, "revision", writes.len() as u64)?;
            let mut revision = last - writes.len() as u64;
            let mut documents = transaction.open_table(names.documents())?;
            let mut changes = transaction.open_table(names.changes())?;
            let mut outcomes = Vec::with_capacity(writes.len());
            for (write, encoded) in writes.iter().zip(&encoded) {
                let id = encoded.id.as_str();
                let newest = documents.get(id)?.map(|stored| stored.value().0);
                let expected = match &write.expected {
                    Revision::Absent => newest.is_none(),
                    Revision::At(revision) => newest.is_some_and(|n| n.to_string() == *revision),
                };
                if !expected {
                    let document = write.document.id.clone();
                    outcomes.push(Err(SearchError::Conflict { document }));
                    continue;
                }
                if let Some(reason) = encoded.too_large() {
                    let document = write.document.id.clone();
                    outcomes.push(Err(SearchError::Refused { document, reason }));
                    continue;
                }
                revision += 1;
                let view = encoded.view.as_deref();
                documents.insert(id, (revision, encoded.rows.as_str(), view))?;
                if let DocumentId::Root(key) = &write.document.id {
                    if let Some(newest) = newest {
                        changes.remove(newest)?;
                    }
                    changes.insert(revision, key.as_str())?;
                }
                outcomes.push(Ok(()));
            }
            Ok(Some(outcomes))
        })?;
        written.ok_or_else(|| SearchError::UnknownGeneration {
            generation: generation.clone(),
        })
    }

    pub(crate) fn scan(
        &self,
        number: u64,
        after: Option<&DocumentId>,
        limit: NonZeroUsize,
    ) -> Result<Vec<DocumentId>, SearchError> {
        let names = Names::of(number);
        let read = || -> Result<Vec<_>, redb::Error> {
            let transaction = self.database.begin_read()?;
            let documents = transaction.open_table(names.documents())?;
            let after = after.map(ToString::to_string);
            let begin = after.as_deref().unwrap_or(ROOTS.0).max(ROOTS.0);
            let mut ids = Vec::new();
            for entry in documents.range(begin..ROOTS.1.max(begin))? {
                let (id, _) = entry?;
                let id = id.value();
                if after.as_deref() == Some(id) {
                    continue;
                }
                if let Some(key) = id.strip_prefix(ROOTS.0) {
                    ids.push(DocumentId::Root(key.to_owned()));
                }
                if ids.len() == limit.get() {
                    break;
                }
            }
            Ok(ids)
        };
        read().map_err(failed("scan"))
    }
}

impl Store {
    /// Passes all pending changes to `apply`, the oldest first, and returns the revision of the
    /// last one.
    pub(crate) fn pending_changes(
        &self,
        number: u64,
        mut apply: impl FnMut(Change) -> Result<(), SearchError>,
    ) -> Result<Option<u64>, SearchError> {
        let failed = failed::<redb::Error>("refresh");
        let names = Names::of(number);
        let read = || -> Result<_, redb::Error> {
            let transaction = self.database.begin_read()?;
            let documents = transaction.open_table(names.documents())?;
            Ok((documents, transaction.open_table(names.changes())?))
        };
        let (documents, changes) = read().map_err(&failed)?;
        let mut last = None;
        for entry in changes.iter().map_err(|error| failed(error.into()))? {
            let (revision, key) = entry.map_err(|error| failed(error.into()))?;
            let key = key.value().to_owned();
            let id = DocumentId::Root(key.clone()).to_string();
            let stored = documents.get(id.as_str());
            let stored = stored.map_err(|error| failed(error.into()))?;
            let view = stored.and_then(|stored| stored.value().2.map(str::to_owned));
            apply(Change { key, view })?;
            last = Some(revision.value());
        }
        Ok(last)
    }

    /// Removes all pending changes up to this revision: the tantivy index has applied them. This
    /// is not synced to disk; changes that come back after a crash are applied again.
    pub(crate) fn remove_changes(&self, number: u64, revision: u64) -> Result<(), SearchError> {
        let names = Names::of(number);
        let change = || -> Result<(), redb::Error> {
            let mut transaction = self.database.begin_write()?;
            transaction.set_durability(Durability::None)?;
            {
                let mut changes = transaction.open_table(names.changes())?;
                changes.retain_in(..=revision, |_, _| false)?;
            }
            Ok(transaction.commit()?)
        };
        change().map_err(failed("refresh"))
    }
}

/// Increases a counter, and returns its new value.
fn increase(transaction: &WriteTransaction, counter: &str, by: u64) -> Result<u64, redb::Error> {
    let mut last = transaction.open_table(LAST)?;
    let before = last.get(counter)?.map_or(0, |last| last.value());
    last.insert(counter, before + by)?;
    Ok(before + by)
}

/// A write in the form in which it is stored.
struct Encoded {
    id: String,
    rows: String,
    view: Option<String>,
}

impl Encoded {
    fn new(write: &DocumentWrite) -> Result<Self, serde_json::Error> {
        Ok(Self {
            id: write.document.id.to_string(),
            rows: write.document.encode(),
            view: write.view.as_ref().map(serde_json::to_string).transpose()?,
        })
    }

    fn too_large(&self) -> Option<String> {
        let view = self.view.as_ref().map_or(0, String::len);
        let size = self.rows.len() + view;
        if size > LARGEST_DOCUMENT {
            let limit = format!("the limit is {LARGEST_DOCUMENT} bytes");
            return Some(format!("it has {size} bytes with its view, {limit}"));
        }
        let id = self.id.len();
        (id > LONGEST_ID).then(|| format!("its id has {id} bytes, the limit is {LONGEST_ID} bytes"))
    }
}

/// The tables of one generation. Their names contain its number, so a generation that is created
/// again under an old name starts empty.
struct Names {
    documents: String,
    changes: String,
}

impl Names {
    fn of(number: u64) -> Self {
        Self {
            documents: format!("documents-{number}"),
            changes: format!("changes-{number}"),
        }
    }

    /// The documents by id.
    fn documents(&self) -> TableDefinition<'_, &'static str, Stored<'static>> {
        TableDefinition::new(&self.documents)
    }

    /// The keys of the documents that the tantivy index must still apply, by revision. Each
    /// document is listed once.
    fn changes(&self) -> TableDefinition<'_, u64, &'static str> {
        TableDefinition::new(&self.changes)
    }
}
