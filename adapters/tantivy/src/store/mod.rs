//! The stored documents and generations. A write is durable when it is here; the tantivy index
//! applies it later.

mod changes;
mod documents;
mod names;

use std::path::Path;
use std::time::Duration;

use redb::backends::InMemoryBackend;
use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, WriteTransaction};
use stockade_change_feed::Failure;
use stockade_search_sync::{Generation, Projection, SearchError};

use self::names::{ACTIVE, GENERATIONS, LAST, Names};
use crate::error::failed;

/// A generation as it is stored.
pub(crate) struct StoredGeneration {
    pub(crate) name: Generation,
    pub(crate) number: u64,
    pub(crate) projection: Projection,
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

    /// All generations, and which of them is active.
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

    /// Creates a generation, and returns its number.
    pub(crate) fn create(
        &self,
        generation: &Generation,
        projection: &Projection,
    ) -> Result<u64, SearchError> {
        let projection = serde_json::to_string(projection).map_err(failed("create"))?;
        self.change("create", |transaction| {
            let number = increase(transaction, "generation", 1)?;
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
}

/// Increases a counter, and returns its new value.
fn increase(transaction: &WriteTransaction, counter: &str, by: u64) -> Result<u64, redb::Error> {
    let mut last = transaction.open_table(LAST)?;
    let before = last.get(counter)?.map_or(0, |last| last.value());
    last.insert(counter, before + by)?;
    Ok(before + by)
}
