//! The index: its generations, and writing them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use async_trait::async_trait;
use stockade_search_sync::{
    DocumentId, DocumentWrite, Generation, GenerationState, IndexWriter, Loaded, Projection,
    SearchError, WriteConcurrency, WriteOutcome,
};
use tracing::instrument;

use crate::error::{blocking, failed};
use crate::generation::Shelf;
use crate::options::TantivyOptions;
use crate::store::{Store, StoredGeneration};
use crate::turns::Turns;

/// An embedded index, in memory or in a directory. Clones share it.
///
/// Any number of workers of this process may write it. See the [crate](crate) for what holds.
///
/// Searches and suggestions take turns, [so many](TantivyOptions::searches_at_once) at once, in the
/// order in which they came. How long one waits is up to its caller: a call that is dropped while it
/// waits costs nothing, and one that has begun runs to its end.
#[derive(Clone)]
pub struct TantivyIndex {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    directory: Option<PathBuf>,
    options: TantivyOptions,
    shelves: RwLock<Shelves>,
    searches: Turns,
    /// Held while generations come, go and are activated.
    change: Mutex<()>,
}

#[derive(Default)]
struct Shelves {
    all: BTreeMap<Generation, Arc<Shelf>>,
    active: Option<Generation>,
}

impl fmt::Debug for TantivyIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TantivyIndex")
            .field("directory", &self.inner.directory)
            .field("options", &self.inner.options)
            .finish_non_exhaustive()
    }
}

impl TantivyIndex {
    /// An index in memory, without generations. It is gone with its last clone.
    ///
    /// # Errors
    /// [`SearchError::Failed`].
    pub fn in_memory(options: TantivyOptions) -> Result<Self, SearchError> {
        let store = Store::in_memory(options.cache_memory)?;
        Self::over(store, None, options)
    }

    /// Opens the index in a directory, which is made if it is not there. What was durable when
    /// its last process ended is there and is found, however it ended; an index that is missing,
    /// damaged or of another format is built anew from the stored documents first.
    ///
    /// # Errors
    /// [`SearchError::Failed`] where the directory can't be read, and where it is open already, in
    /// this process or another: one at a time may have it.
    pub async fn open(
        directory: impl AsRef<Path>,
        options: TantivyOptions,
    ) -> Result<Self, SearchError> {
        let directory = directory.as_ref().to_owned();
        blocking("open", move || {
            std::fs::create_dir_all(&directory).map_err(failed("open"))?;
            let file = directory.join("documents.redb");
            let store = Store::open(&file, options.cache_memory)?;
            Self::over(store, Some(directory), options)
        })
        .await
    }

    fn over(
        store: Store,
        directory: Option<PathBuf>,
        options: TantivyOptions,
    ) -> Result<Self, SearchError> {
        let (stored, active) = store.generations()?;
        let inner = Inner {
            searches: Turns::new(options.searches_at_once),
            store,
            directory,
            options,
            shelves: RwLock::default(),
            change: Mutex::default(),
        };
        let numbers = stored.iter().map(|stored| stored.number).collect();
        inner.forget_others(&numbers)?;
        let mut shelves = Shelves {
            active,
            ..Shelves::default()
        };
        for stored in stored {
            let shelf = inner.shelf(stored)?;
            // What was stored and is not yet indexed is found at once.
            shelf.refresh(&inner.store);
            shelves.all.insert(shelf.name.clone(), Arc::new(shelf));
        }
        *inner
            .shelves
            .write()
            .unwrap_or_else(PoisonError::into_inner) = shelves;
        let inner = Arc::new(inner);
        Ok(Self { inner })
    }

    /// Runs what reads or writes files with the generation of that name.
    async fn with<T: Send + 'static>(
        &self,
        operation: &'static str,
        generation: &Generation,
        work: impl FnOnce(&Store, &Shelf) -> Result<T, SearchError> + Send + 'static,
    ) -> Result<T, SearchError> {
        let shelf = self.inner.named(generation)?;
        let inner = self.inner.clone();
        blocking(operation, move || {
            work(&inner.store, &shelf).or_else(|error| {
                // It may have been removed meanwhile: that is not a fault of the store.
                inner.named(&shelf.name)?;
                Err(error)
            })
        })
        .await
    }

    /// Runs what reads files with the generation that is searched when it is its turn.
    pub(crate) async fn searching<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&Shelf) -> Result<T, SearchError> + Send + 'static,
    ) -> Result<T, SearchError> {
        let inner = self.inner.clone();
        let search = move || {
            let shelf = inner.active()?;
            shelf.refresh(&inner.store);
            work(&shelf)
        };
        self.inner.searches.take(operation, search).await
    }

    /// Changes which generations there are, one such change at a time.
    async fn change(
        &self,
        operation: &'static str,
        change: impl FnOnce(&Inner) -> Result<(), SearchError> + Send + 'static,
    ) -> Result<(), SearchError> {
        let inner = self.inner.clone();
        blocking(operation, move || {
            let _changing = inner.change.lock().unwrap_or_else(PoisonError::into_inner);
            change(&inner)
        })
        .await
    }
}

impl Inner {
    fn shelves(&self) -> RwLockReadGuard<'_, Shelves> {
        self.shelves.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, change: impl FnOnce(&mut Shelves)) {
        let shelves = self.shelves.write();
        change(&mut shelves.unwrap_or_else(PoisonError::into_inner));
    }

    fn active(&self) -> Result<Arc<Shelf>, SearchError> {
        let shelves = self.shelves();
        let active = shelves.active.as_ref();
        let active = active.and_then(|name| shelves.all.get(name));
        active.cloned().ok_or(SearchError::NothingActive)
    }

    fn named(&self, generation: &Generation) -> Result<Arc<Shelf>, SearchError> {
        let known = self.shelves().all.get(generation).cloned();
        known.ok_or_else(|| SearchError::UnknownGeneration {
            generation: generation.clone(),
        })
    }

    fn shelf(&self, stored: StoredGeneration) -> Result<Shelf, SearchError> {
        let directory = self.directory.as_ref();
        let directory = directory.map(|directory| directory.join(name_of(stored.number)));
        Shelf::open(stored, directory, self.options.clone(), &self.store)
    }

    /// Deletes what a crash has left of generations that are gone.
    fn forget_others(&self, numbers: &BTreeSet<u64>) -> Result<(), SearchError> {
        let failed = failed::<std::io::Error>("open");
        let Some(directory) = &self.directory else {
            return Ok(());
        };
        for entry in std::fs::read_dir(directory).map_err(&failed)? {
            let entry = entry.map_err(&failed)?;
            let name = entry.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
            let number = number.and_then(|number| number.parse::<u64>().ok());
            if number.is_some_and(|number| !numbers.contains(&number)) {
                std::fs::remove_dir_all(entry.path()).map_err(&failed)?;
            }
        }
        Ok(())
    }
}

const PREFIX: &str = "generation-";

fn name_of(number: u64) -> String {
    format!("{PREFIX}{number}")
}

#[async_trait]
impl IndexWriter for TantivyIndex {
    fn concurrency(&self) -> WriteConcurrency {
        WriteConcurrency::CompareAndSet
    }

    async fn create(
        &self,
        generation: &Generation,
        projection: &Projection,
    ) -> Result<(), SearchError> {
        projection.validate()?;
        let (name, projection) = (generation.clone(), projection.clone());
        self.change("create", move |inner| {
            if inner.named(&name).is_ok() {
                return Ok(());
            }
            let number = inner.store.create(&name, &projection)?;
            let shelf = inner.shelf(StoredGeneration {
                name: name.clone(),
                number,
                projection,
            })?;
            inner.set(|shelves| {
                shelves.all.insert(name, Arc::new(shelf));
            });
            Ok(())
        })
        .await
    }

    async fn activate(&self, generation: &Generation) -> Result<(), SearchError> {
        let generation = generation.clone();
        self.change("activate", move |inner| {
            inner.named(&generation)?;
            inner.store.activate(&generation)?;
            inner.set(|shelves| shelves.active = Some(generation));
            Ok(())
        })
        .await
    }

    async fn generations(&self) -> Result<Vec<(Generation, GenerationState)>, SearchError> {
        let shelves = self.inner.shelves();
        let of = |generation: &Generation| match &shelves.active {
            Some(active) if active == generation => GenerationState::Active,
            _ => GenerationState::Standby,
        };
        let names = shelves.all.keys();
        Ok(names.map(|name| (name.clone(), of(name))).collect())
    }

    async fn remove(&self, generation: &Generation) -> Result<(), SearchError> {
        let generation = generation.clone();
        self.change("remove", move |inner| {
            if inner.shelves().active.as_ref() == Some(&generation) {
                let reason = "it is active; activate another one first";
                let name = generation.as_str();
                return Err(SearchError::invalid("generation", name, reason));
            }
            let Ok(shelf) = inner.named(&generation) else {
                return Ok(());
            };
            inner.store.remove(&generation, shelf.number)?;
            inner.set(|shelves| {
                shelves.all.remove(&generation);
            });
            shelf.remove();
            Ok(())
        })
        .await
    }

    async fn load(
        &self,
        generation: &Generation,
        ids: &[DocumentId],
    ) -> Result<Vec<Result<Loaded, SearchError>>, SearchError> {
        let ids = ids.to_vec();
        self.with("load", generation, move |store, shelf| {
            store.load(shelf.number, &ids)
        })
        .await
    }

    #[instrument(skip_all, fields(%generation, documents = writes.len()))]
    async fn write(
        &self,
        generation: &Generation,
        writes: Vec<DocumentWrite>,
    ) -> Result<Vec<WriteOutcome>, SearchError> {
        self.with("write", generation, move |store, shelf| {
            let outcomes = store.write(&shelf.name, shelf.number, &writes)?;
            let outcomes = outcomes.ok_or_else(|| SearchError::UnknownGeneration {
                generation: shelf.name.clone(),
            })?;
            shelf.has_changed();
            shelf.refresh(store);
            Ok(outcomes)
        })
        .await
    }

    async fn scan(
        &self,
        generation: &Generation,
        after: Option<&DocumentId>,
        limit: usize,
    ) -> Result<Vec<DocumentId>, SearchError> {
        let after = after.cloned();
        self.with("scan", generation, move |store, shelf| {
            store.scan(shelf.number, after.as_ref(), limit.max(1))
        })
        .await
    }
}
