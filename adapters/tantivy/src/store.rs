//! The documents, stored: what was answered is here, and the index follows.

use std::path::Path;
use std::time::Duration;

use redb::backends::InMemoryBackend;
use redb::{
    Database, DatabaseError, Durability, ReadableDatabase, ReadableTable, TableDefinition,
    WriteTransaction,
};
use stockade_change_feed::Failure;
use stockade_search_sync::{
    Document, DocumentId, DocumentWrite, Generation, Loaded, Projection, Revision, SearchError,
    WriteOutcome,
};

use crate::error::failed;

/// Larger documents are refused, in bytes.
const MOST_DOCUMENT: usize = 16 * 1024 * 1024;
/// Documents with longer ids are refused, in bytes.
const MOST_ID: usize = 16 * 1024;
/// All ids of root documents lie from here to the next byte.
const ROOTS: (&str, &str) = ("root:", "root;");

/// A generation's name, its number and its projection.
const GENERATIONS: TableDefinition<'_, &str, (u64, &str)> = TableDefinition::new("generations");
/// What is active.
const ACTIVE: TableDefinition<'_, (), &str> = TableDefinition::new("active");
/// The last revision, and the last number of a generation. Neither comes twice.
const LAST: TableDefinition<'_, &str, u64> = TableDefinition::new("last");

/// A document's revision, its rows, and its view while it is shown.
type Stored<'a> = (u64, &'a str, Option<&'a str>);

/// The tables of a generation have its number in their names, so that one which is made anew under
/// an old name begins empty.
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

    fn documents(&self) -> TableDefinition<'_, &'static str, Stored<'static>> {
        TableDefinition::new(&self.documents)
    }

    /// By revision the documents that the index has not followed yet, each once.
    fn changes(&self) -> TableDefinition<'_, u64, &'static str> {
        TableDefinition::new(&self.changes)
    }
}

/// A generation as it is stored.
pub(crate) struct StoredGeneration {
    pub(crate) name: Generation,
    pub(crate) number: u64,
    pub(crate) projection: Projection,
}

/// A change that the index has to follow.
pub(crate) struct Change {
    pub(crate) key: String,
    /// In JSON; none while the document is hidden.
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
                    "{} is open already, in this process or another; one at a time may have it",
                    file.display()
                );
                Failure::unavailable("open", Duration::from_secs(1), why).into()
            }
            error => failed("open")(error),
        })?;
        Self::new(database)
    }

    fn new(database: Database) -> Result<Self, SearchError> {
        let failed = failed::<redb::Error>("open");
        let create = || -> Result<(), redb::Error> {
            let transaction = database.begin_write()?;
            transaction.open_table(GENERATIONS)?;
            transaction.open_table(ACTIVE)?;
            transaction.open_table(LAST)?;
            Ok(transaction.commit()?)
        };
        create().map_err(failed)?;
        Ok(Self { database })
    }

    /// Does something in one transaction, which is durable when this returns.
    fn change<T>(
        &self,
        operation: &'static str,
        change: impl FnOnce(&WriteTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, SearchError> {
        let whole = || -> Result<T, redb::Error> {
            let transaction = self.database.begin_write()?;
            let done = change(&transaction)?;
            transaction.commit()?;
            Ok(done)
        };
        whole().map_err(failed(operation))
    }

    pub(crate) fn generations(
        &self,
    ) -> Result<(Vec<StoredGeneration>, Option<Generation>), SearchError> {
        let read = || -> Result<_, redb::Error> {
            let transaction = self.database.begin_read()?;
            let mut all = Vec::new();
            for entry in transaction.open_table(GENERATIONS)?.iter()? {
                let (name, value) = entry?;
                let (number, projection) = value.value();
                all.push((name.value().to_owned(), number, projection.to_owned()));
            }
            let active = transaction.open_table(ACTIVE)?.get(())?;
            Ok((all, active.map(|name| name.value().to_owned())))
        };
        let (all, active) = read().map_err(failed("open"))?;
        let all = all.into_iter().map(|(name, number, projection)| {
            let damaged = |error: serde_json::Error| SearchError::Damaged {
                what: format!("the projection of generation {name}: {error}"),
            };
            let projection = serde_json::from_str(&projection).map_err(damaged)?;
            let name = Generation::new(name)?;
            Ok(StoredGeneration {
                name,
                number,
                projection,
            })
        });
        let active = active.map(Generation::new).transpose()?;
        Ok((all.collect::<Result<_, SearchError>>()?, active))
    }

    /// Makes a generation, and returns its number.
    pub(crate) fn create(
        &self,
        generation: &Generation,
        projection: &Projection,
    ) -> Result<u64, SearchError> {
        let projection = serde_json::to_string(projection).map_err(failed("create"))?;
        self.change("create", |transaction| {
            let number = next(transaction, "generation", 1)?;
            let names = Names::of(number);
            transaction.open_table(names.documents())?;
            transaction.open_table(names.changes())?;
            let mut generations = transaction.open_table(GENERATIONS)?;
            generations.insert(generation.as_str(), (number, projection.as_str()))?;
            Ok(number)
        })
    }

    pub(crate) fn activate(&self, generation: &Generation) -> Result<(), SearchError> {
        self.change("activate", |transaction| {
            let mut active = transaction.open_table(ACTIVE)?;
            active.insert((), generation.as_str())?;
            Ok(())
        })
    }

    pub(crate) fn remove(&self, generation: &Generation, number: u64) -> Result<(), SearchError> {
        self.change("remove", |transaction| {
            transaction
                .open_table(GENERATIONS)?
                .remove(generation.as_str())?;
            let names = Names::of(number);
            transaction.delete_table(names.documents())?;
            transaction.delete_table(names.changes())?;
            Ok(())
        })
    }

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

    /// Writes what is based on the newest revision, durably, in one transaction. `None` where the
    /// generation is not there.
    pub(crate) fn write(
        &self,
        generation: &Generation,
        number: u64,
        writes: &[DocumentWrite],
    ) -> Result<Option<Vec<WriteOutcome>>, SearchError> {
        let encoded: Vec<_> = writes.iter().map(Encoded::new).collect();
        let encoded = encoded.into_iter().collect::<Result<Vec<_>, _>>();
        let encoded = encoded.map_err(failed("write"))?;
        let names = Names::of(number);
        self.change("write", |transaction| {
            let known = transaction.open_table(GENERATIONS)?;
            let known = known.get(generation.as_str())?.map(|it| it.value().0);
            if known != Some(number) {
                return Ok(None);
            }
            let last = next(transaction, "revision", writes.len() as u64)?;
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
                    outcomes.push(WriteOutcome::Conflict);
                    continue;
                }
                if let Some(reason) = encoded.too_large() {
                    outcomes.push(WriteOutcome::Refused { reason });
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
                outcomes.push(WriteOutcome::Durable);
            }
            Ok(Some(outcomes))
        })
    }

    pub(crate) fn scan(
        &self,
        number: u64,
        after: Option<&DocumentId>,
        limit: usize,
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
                if ids.len() == limit {
                    break;
                }
            }
            Ok(ids)
        };
        read().map_err(failed("scan"))
    }

    /// Hands over every change that the index has not followed, the oldest first, and returns the
    /// revision of the last.
    pub(crate) fn changes(
        &self,
        number: u64,
        mut follow: impl FnMut(Change) -> Result<(), SearchError>,
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
            follow(Change { key, view })?;
            last = Some(revision.value());
        }
        Ok(last)
    }

    /// Whether there is anything that the index has not followed.
    pub(crate) fn is_changed(&self, number: u64) -> Result<bool, SearchError> {
        let names = Names::of(number);
        let read = || -> Result<bool, redb::Error> {
            let transaction = self.database.begin_read()?;
            Ok(transaction.open_table(names.changes())?.first()?.is_some())
        };
        read().map_err(failed("refresh"))
    }

    /// The index has followed all up to this revision. Not synced: what is forgotten of this in a
    /// crash is followed once more.
    pub(crate) fn followed(&self, number: u64, revision: u64) -> Result<(), SearchError> {
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

    /// The index begins anew: it has to follow every document that is shown.
    pub(crate) fn follow_all(&self, number: u64) -> Result<(), SearchError> {
        let names = Names::of(number);
        self.change("rebuild", |transaction| {
            let documents = transaction.open_table(names.documents())?;
            let mut changes = transaction.open_table(names.changes())?;
            for entry in documents.range(ROOTS.0..ROOTS.1)? {
                let (id, stored) = entry?;
                if let (revision, _, Some(_)) = stored.value()
                    && let Some(key) = id.value().strip_prefix(ROOTS.0)
                {
                    changes.insert(revision, key)?;
                }
            }
            Ok(())
        })
    }
}

/// A write, as it is stored.
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
        if size > MOST_DOCUMENT {
            let reason = "bytes with its view, and this index takes at most";
            return Some(format!("it has {size} {reason} {MOST_DOCUMENT}"));
        }
        let id = self.id.len();
        (id > MOST_ID).then(|| {
            format!("its id has {id} bytes, and this index takes ids of at most {MOST_ID}")
        })
    }
}

/// Raises a counter, and returns what it is then.
fn next(transaction: &WriteTransaction, counter: &str, by: u64) -> Result<u64, redb::Error> {
    let mut last = transaction.open_table(LAST)?;
    let before = last.get(counter)?.map_or(0, |last| last.value());
    last.insert(counter, before + by)?;
    Ok(before + by)
}
