//! An index that fails when it is told to.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::*;

/// An index that can be told to fail.
#[derive(Default)]
pub(super) struct Scripted {
    pub(super) inner: MemoryIndex,
    faults: Mutex<VecDeque<Fault>>,
    /// Written by somebody else just before the next write.
    pub(super) rival: Mutex<Option<(Ingest, Record)>>,
    /// What is answered when this document is loaded.
    pub(super) unloaded: Mutex<Option<(DocumentId, SearchError)>>,
    written: Mutex<Vec<DocumentId>>,
    pub(super) largest: AtomicUsize,
}

pub(super) enum Fault {
    LoadFails,
    /// A load is never answered.
    LoadHangs,
    /// A write like any other.
    Applies,
    /// The documents of roots are never written: the future stays where it is.
    HangsAtRoots,
    /// It is written, and the reply is lost.
    ReplyLost,
    Busy,
    BusyFor(DocumentId, Duration),
    Refuses(DocumentId),
    /// Refuses the document if it has a row of this key.
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
        fails: impl Fn(&DocumentWrite) -> Option<WriteOutcome>,
    ) -> Vec<WriteOutcome> {
        let mut outcomes = Vec::new();
        for write in writes {
            outcomes.push(match fails(&write) {
                Some(outcome) => outcome,
                None => {
                    let written = self.inner.write(&generation(), vec![write]).await;
                    written.unwrap().remove(0)
                }
            });
        }
        outcomes
    }
}

fn busy() -> WriteOutcome {
    busy_for(Duration::from_millis(50))
}

fn busy_for(after: Duration) -> WriteOutcome {
    let reason = "busy".to_owned();
    WriteOutcome::Retry { reason, after }
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
    ) -> Result<Vec<WriteOutcome>, SearchError> {
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
                let outcomes = self.write_where(writes, |_| None).await;
                outcomes.iter().map(|_| busy()).collect()
            }
            Some(Fault::Busy) => writes.iter().map(|_| busy()).collect(),
            Some(Fault::BusyFor(id, after)) => {
                let fails =
                    |write: &DocumentWrite| (write.document.id == id).then(|| busy_for(after));
                self.write_where(writes, fails).await
            }
            Some(Fault::Refuses(id)) => {
                let fails = |write: &DocumentWrite| (write.document.id == id).then(refused);
                self.write_where(writes, fails).await
            }
            Some(Fault::RefusesRow(row)) => {
                // For as long as anybody tries.
                self.faults
                    .lock()
                    .unwrap()
                    .push_front(Fault::RefusesRow(row));
                let has = |write: &DocumentWrite| {
                    is_root(write) && write.document.rows.keys().any(|key| key.key == row)
                };
                self.write_where(writes, |write| has(write).then(refused))
                    .await
            }
        })
    }

    async fn scan(
        &self,
        name: &Generation,
        after: Option<&DocumentId>,
        limit: usize,
    ) -> Result<Vec<DocumentId>, SearchError> {
        self.inner.scan(name, after, limit).await
    }
}

fn refused() -> WriteOutcome {
    WriteOutcome::Refused {
        reason: "too large".to_owned(),
    }
}
