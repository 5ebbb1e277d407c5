//! Loading, writing and scanning documents.

use std::num::NonZeroUsize;

use redb::{ReadableDatabase, ReadableTable};
use stockade_search_sync::{
    Document, DocumentId, DocumentWrite, Generation, Loaded, Revision, SearchError,
};

use super::names::{GENERATIONS, Names, ROOTS};
use super::{Store, increase};
use crate::error::failed;

/// Larger documents are refused, in bytes.
const LARGEST_DOCUMENT: usize = 16 * 1024 * 1024;
/// Documents with longer ids are refused, in bytes.
const LONGEST_ID: usize = 16 * 1024;

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

    /// Writes the documents whose revision is the newest, in one durable transaction. `None` if
    /// the generation does not exist.
    pub(crate) fn write(
        &self,
        generation: &Generation,
        number: u64,
        writes: &[DocumentWrite],
    ) -> Result<Option<Vec<Result<(), SearchError>>>, SearchError> {
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
