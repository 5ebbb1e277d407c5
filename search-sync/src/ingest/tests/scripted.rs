//! An index with scripted failures.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::*;

/// An index with scripted failures.
#[derive(Default)]
pub(super) struct Scripted {
    pub(super) inner: MemoryIndex,
    faults: Mutex<VecDeque<Fault>>,
    /// Another writer, and the record that it handles just before the next write.
    pub(super) rival: Mutex<Option<(Ingest, Record)>>,
    /// The error for loading this document.
    pub(super) unloaded: Mutex<Option<(DocumentId, SearchError)>>,
    written: Mutex<Vec<DocumentId>>,
    pub(super) largest: AtomicUsize,
}

pub(super) enum Fault {
    LoadFails,
    /// A load that never returns.
    LoadHangs,
    /// A write without a failure.
    Applies,
    /// A write of a root document that never returns.
    HangsAtRoots,
    /// The documents are written, and the reply is lost.
    ReplyLost,
    /// The documents are written, and one outcome is missing.
    OutcomeMissing,
    /// All writes conflict, from now on.
    AlwaysConflicts,
    Busy,
    BusyFor(DocumentId, Duration),
    Refuses(DocumentId),
    /// Refuses root documents that have a row with this key, from now on.
    RefusesRow(&'static str),
}

impl Scripted {
    pub(super) async fn new(projection: &Projection) -> Arc<Self> {
        let index = Self::default();
        index.inner.create(&generation(), projection).await.unwrap();
        index.inner.activate(&generation()).await.unwrap();
        Arc::new(index)
    }

    pub(super) fn script(&self, faults: impl IntoIterator<Item = Fault>) {
        self.faults.lock().unwrap().extend(faults);
    }

    pub(super) fn written(&self) -> Vec<DocumentId> {
        std::mem::take(&mut self.written.lock().unwrap())
    }

    fn next_if(&self, wanted: impl Fn(&Fault) -> bool) -> Option<Fault> {
        let mut faults = self.faults.lock().unwrap();
        if faults.front().is_some_and(wanted) {
            return faults.pop_front();
        }
        None
    }

    async fn write_where(
        &self,
        writes: Vec<DocumentWrite>,
        fails: impl Fn(&DocumentWrite) -> Option<SearchError>,
    ) -> Vec<Result<(), SearchError>> {
        let mut outcomes = Vec::new();
        for write in writes {
            outcomes.push(match fails(&write) {
                Some(error) => Err(error),
                None => {
                    let written = self.inner.write(&generation(), vec![write]).await;
                    written.unwrap().remove(0)
                }
            });
        }
        outcomes
    }
}

fn busy() -> SearchError {
    busy_for(Duration::from_millis(50))
}

fn busy_for(retry_after: Duration) -> SearchError {
    Failure::unavailable("write", retry_after, "busy").into()
}

fn refused(write: &DocumentWrite) -> SearchError {
    SearchError::Refused {
        document: write.document.id.clone(),
        reason: "too large".to_owned(),
    }
}

fn conflict(write: &DocumentWrite) -> SearchError {
    SearchError::Conflict {
        document: write.document.id.clone(),
    }
}

#[async_trait]
impl IndexWriter for Scripted {
    fn concurrency(&self) -> WriteConcurrency {
        WriteConcurrency::CompareAndSet
    }

    async fn create(&self, name: &Generation, projection: &Projection) -> Result<(), SearchError> {
        self.inner.create(name, projection).await
    }

    async fn activate(&self, name: &Generation) -> Result<(), SearchError> {
        self.inner.activate(name).await
    }

    async fn generations(&self) -> Result<Vec<(Generation, GenerationState)>, SearchError> {
        self.inner.generations().await
    }

    async fn remove(&self, name: &Generation) -> Result<(), SearchError> {
        self.inner.remove(name).await
    }

    async fn load(
        &self,
        name: &Generation,
        ids: &[DocumentId],
    ) -> Result<Vec<Result<Loaded, SearchError>>, SearchError> {
        if self
            .next_if(|fault| matches!(fault, Fault::LoadFails))
            .is_some()
        {
            return Err(Failure::timed_out("load", Duration::from_secs(1)).into());
        }
        if self
            .next_if(|fault| matches!(fault, Fault::LoadHangs))
            .is_some()
        {
            std::future::pending::<()>().await;
        }
        let mut loaded = self.inner.load(name, ids).await?;
        if let Some((unloaded, error)) = &*self.unloaded.lock().unwrap() {
            let of = ids.iter().zip(&mut loaded);
            for (_, loaded) in of.filter(|(id, _)| *id == unloaded) {
                *loaded = Err(error.clone());
            }
        }
        Ok(loaded)
    }

    async fn write(
        &self,
        _: &Generation,
        writes: Vec<DocumentWrite>,
    ) -> Result<Vec<Result<(), SearchError>>, SearchError> {
        self.largest.fetch_max(writes.len(), Ordering::SeqCst);
        let ids = writes.iter().map(|write| write.document.id.clone());
        self.written.lock().unwrap().extend(ids);
        let rival = self.rival.lock().unwrap().take();
        if let Some((ingest, record)) = rival {
            assert_eq!(
                ingest.handle(Batch::of(&[record])).await,
                [Disposition::Done]
            );
        }
        let is_root = |write: &DocumentWrite| matches!(write.document.id, DocumentId::Root(_));
        let hangs = writes.iter().any(is_root);
        let applies = |fault: &Fault| match fault {
            Fault::LoadFails | Fault::LoadHangs => false,
            Fault::HangsAtRoots => hangs,
            _ => true,
        };
        Ok(match self.next_if(applies) {
            None | Some(Fault::Applies | Fault::LoadFails | Fault::LoadHangs) => {
                self.write_where(writes, |_| None).await
            }
            Some(Fault::HangsAtRoots) => std::future::pending().await,
            Some(Fault::ReplyLost) => {
                let lost = || Failure::outcome_unknown("write", "the reply was lost").into();
                let outcomes = self.write_where(writes, |_| None).await;
                outcomes.iter().map(|_| Err(lost())).collect()
            }
            Some(Fault::OutcomeMissing) => {
                let mut outcomes = self.write_where(writes, |_| None).await;
                outcomes.pop();
                outcomes
            }
            Some(Fault::AlwaysConflicts) => {
                self.script([Fault::AlwaysConflicts]);
                writes.iter().map(|write| Err(conflict(write))).collect()
            }
            Some(Fault::Busy) => writes.iter().map(|_| Err(busy())).collect(),
            Some(Fault::BusyFor(id, after)) => {
                let is = |write: &DocumentWrite| write.document.id == id;
                let fails = |write: &DocumentWrite| is(write).then(|| busy_for(after));
                self.write_where(writes, fails).await
            }
            Some(Fault::Refuses(id)) => {
                let is = |write: &DocumentWrite| write.document.id == id;
                let fails = |write: &DocumentWrite| is(write).then(|| refused(write));
                self.write_where(writes, fails).await
            }
            Some(Fault::RefusesRow(row)) => {
                self.script([Fault::RefusesRow(row)]);
                let has = |write: &DocumentWrite| {
                    is_root(write) && write.document.rows.keys().any(|key| key.key == row)
                };
                let fails = |write: &DocumentWrite| has(write).then(|| refused(write));
                self.write_where(writes, fails).await
            }
        })
    }

    async fn scan(
        &self,
        name: &Generation,
        after: Option<&DocumentId>,
        limit: NonZeroUsize,
    ) -> Result<Vec<DocumentId>, SearchError> {
        self.inner.scan(name, after, limit).await
    }
}
