//! Which generations there are, which of them is active, and what each one needs when it is opened.

use redb::{ReadableDatabase, ReadableTable};
use stockade_search_sync::{Generation, Projection, SearchError};

use super::{ACTIVE, GENERATIONS, Names, ROOTS, Store, increase};
use crate::error::failed;

/// A generation as it is stored.
pub(crate) struct StoredGeneration {
    pub(crate) name: Generation,
    pub(crate) number: u64,
    pub(crate) projection: Projection,
}

impl Store {
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

    /// Whether there are pending changes.
    pub(crate) fn has_pending_changes(&self, number: u64) -> Result<bool, SearchError> {
        let names = Names::of(number);
        let read = || -> Result<bool, redb::Error> {
            let transaction = self.database.begin_read()?;
            Ok(transaction.open_table(names.changes())?.first()?.is_some())
        };
        read().map_err(failed("refresh"))
    }

    /// Makes every shown document a pending change, because the tantivy index starts empty.
    pub(crate) fn add_all_changes(&self, number: u64) -> Result<(), SearchError> {
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
