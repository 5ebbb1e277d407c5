//! The changes that the tantivy index must still apply.

use redb::{Durability, ReadableDatabase, ReadableTable};
use stockade_search_sync::{DocumentId, SearchError};

use super::Store;
use super::names::{Names, ROOTS};
use crate::error::failed;

/// A document that the tantivy index must add, replace or delete.
pub(crate) struct Change {
    pub(crate) key: String,
    /// The view in JSON; `None` if the document is hidden.
    pub(crate) view: Option<String>,
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

    /// Whether there are pending changes.
    pub(crate) fn has_pending_changes(&self, number: u64) -> Result<bool, SearchError> {
        let names = Names::of(number);
        let read = || -> Result<bool, redb::Error> {
            let transaction = self.database.begin_read()?;
            Ok(transaction.open_table(names.changes())?.first()?.is_some())
        };
        read().map_err(failed("refresh"))
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
