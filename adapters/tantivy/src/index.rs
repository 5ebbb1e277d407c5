//! The index: its generations, and writing them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use async_trait::async_trait;
use stockade_search_sync::{
    DocumentId, DocumentWrite, Generation, GenerationState, IndexWriter, Loaded, Projection,
    SearchError, WriteConcurrency,
};
use tracing::instrument;

use crate::error::{blocking, failed};
use crate::generation::GenerationIndex;
use crate::limit::Limit;
use crate::options::TantivyOptions;
use crate::store::{Store, StoredGeneration};

/// An embedded index, in memory or in a directory. Clones share it. Any number of workers of this
/// process may write it.
///
/// ```
/// use stockade_search_sync::{
///     Document, DocumentId, DocumentWrite, FieldValue, Generation, IndexWriter, Projection,
///     Revision, SearchError, SearchIndex, SearchQuery, View,
/// };
/// use stockade_tantivy::{TantivyIndex, TantivyOptions};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), SearchError> {
/// # let directory = std::env::temp_dir().join(format!("stockade-tantivy-{}", std::process::id()));
/// let index = TantivyIndex::open(&directory, TantivyOptions::default()).await?;
/// let generation = Generation::new("products-1")?;
/// index.create(&generation, &Projection::catalog()).await?;
/// index.activate(&generation).await?;
///
/// // Usually an `Ingest` writes documents; see the quickstart of this crate.
/// let mut view = View::default();
/// view.fields.insert("title".to_owned(), vec![FieldValue::Text("Brass Lamp".to_owned())]);
/// let write = DocumentWrite {
///     document: Document::new(DocumentId::Root("lamp".to_owned())),
///     view: Some(view),
///     expected: Revision::Absent,
/// };
/// for outcome in index.write(&generation, vec![write]).await? {
///     outcome?; // synced to disk
/// }
/// let page = index.search(&SearchQuery::text("brass lamps")).await?;
/// assert_eq!(page.hits[0].key, "lamp");
/// # drop(index);
/// # let _ = std::fs::remove_dir_all(&directory);
/// # Ok(())
/// # }
/// ```
///
/// A [limited number](TantivyOptions::searches_at_once) of searches and suggestions run at the same
/// time; the others wait, in the order of their arrival. The index sets no deadline. A call that is
/// dropped while it waits costs nothing; a call that has started runs to its end.
#[derive(Clone)]
pub struct TantivyIndex {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    directory: Option<PathBuf>,
    options: TantivyOptions,
    generations: RwLock<Generations>,
    searches: Limit,
    /// Held while generations are created, activated and removed.
    change: Mutex<()>,
}

#[derive(Default)]
struct Generations {
    by_name: BTreeMap<Generation, Arc<GenerationIndex>>,
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
    /// An index in memory, without generations. It is deleted with its last clone.
    ///
    /// # Errors
    /// [`SearchError::Failed`].
    pub fn in_memory(options: TantivyOptions) -> Result<Self, SearchError> {
        let store = Store::in_memory(options.cache_memory)?;
        Self::over(store, None, options)
    }

    /// Opens the index in a directory, which is created if it does not exist. All durable writes
    /// are there and are found, no matter how the last process ended. If the tantivy index is
    /// missing, damaged or of another format, it is first rebuilt from the stored documents.
    ///
    /// # Errors
    /// [`SearchError::Failed`] if the directory can't be read, or if it is already open in this
    /// process or another one: only one may open it.
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
            searches: Limit::new(options.searches_at_once),
            store,
            directory,
            options,
            generations: RwLock::default(),
            change: Mutex::default(),
        };
        let numbers = stored.iter().map(|stored| stored.number).collect();
        inner.delete_leftovers(&numbers)?;
        let mut generations = Generations {
            active,
            ..Generations::default()
        };
        for stored in stored {
            let generation = inner.open_generation(stored)?;
            // Searches find all stored documents at once.
            generation.refresh(&inner.store);
            let name = generation.name.clone();
            generations.by_name.insert(name, Arc::new(generation));
        }
        inner.set(|current| *current = generations);
        let inner = Arc::new(inner);
        Ok(Self { inner })
    }

    /// Runs blocking work with the generation of that name.
    async fn with<T: Send + 'static>(
        &self,
        operation: &'static str,
        name: &Generation,
        work: impl FnOnce(&Store, &GenerationIndex) -> Result<T, SearchError> + Send + 'static,
    ) -> Result<T, SearchError> {
        let generation = self.inner.named(name)?;
        let inner = self.inner.clone();
        blocking(operation, move || {
            work(&inner.store, &generation).or_else(|error| {
                // If it was removed meanwhile, that is the reason.
                inner.named(&generation.name)?;
                Err(error)
            })
        })
        .await
    }

    /// Runs blocking work with the active generation, as soon as the limit of searches allows it.
    pub(crate) async fn searching<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&GenerationIndex) -> Result<T, SearchError> + Send + 'static,
    ) -> Result<T, SearchError> {
        let inner = self.inner.clone();
        let search = move || {
            let generation = inner.active()?;
            generation.refresh(&inner.store);
            work(&generation)
        };
        self.inner.searches.run(operation, search).await
    }

    /// Creates, activates or removes a generation. One such change is made at a time.
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
    fn generations(&self) -> RwLockReadGuard<'_, Generations> {
        let generations = self.generations.read();
        generations.unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, change: impl FnOnce(&mut Generations)) {
        let generations = self.generations.write();
        change(&mut generations.unwrap_or_else(PoisonError::into_inner));
    }

    fn active(&self) -> Result<Arc<GenerationIndex>, SearchError> {
        let generations = self.generations();
        let active = generations.active.as_ref();
        let active = active.and_then(|name| generations.by_name.get(name));
        active.cloned().ok_or(SearchError::NothingActive)
    }

    fn named(&self, name: &Generation) -> Result<Arc<GenerationIndex>, SearchError> {
        let known = self.generations().by_name.get(name).cloned();
        known.ok_or_else(|| SearchError::UnknownGeneration {
            generation: name.clone(),
        })
    }

    fn open_generation(&self, stored: StoredGeneration) -> Result<GenerationIndex, SearchError> {
        let directory = self.directory.as_ref();
        let directory = directory.map(|directory| directory.join(directory_of(stored.number)));
        GenerationIndex::open(stored, directory, self.options.clone(), &self.store)
    }

    /// Deletes the files of removed generations that a crash has left behind.
    fn delete_leftovers(&self, numbers: &BTreeSet<u64>) -> Result<(), SearchError> {
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

fn directory_of(number: u64) -> String {
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
            let generation = inner.open_generation(StoredGeneration {
                name: name.clone(),
                number,
                projection,
            })?;
            inner.set(|generations| {
                generations.by_name.insert(name, Arc::new(generation));
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
            inner.set(|generations| generations.active = Some(generation));
            Ok(())
        })
        .await
    }

    async fn generations(&self) -> Result<Vec<(Generation, GenerationState)>, SearchError> {
        let generations = self.inner.generations();
        let state = |name: &Generation| match &generations.active {
            Some(active) if active == name => GenerationState::Active,
            _ => GenerationState::Standby,
        };
        let names = generations.by_name.keys();
        Ok(names.map(|name| (name.clone(), state(name))).collect())
    }

    async fn remove(&self, generation: &Generation) -> Result<(), SearchError> {
        let name = generation.clone();
        self.change("remove", move |inner| {
            if inner.generations().active.as_ref() == Some(&name) {
                let reason = "it is active; activate another one first";
                return Err(SearchError::invalid("generation", name.as_str(), reason));
            }
            let Ok(generation) = inner.named(&name) else {
                return Ok(());
            };
            inner.store.remove(&name, generation.number)?;
            inner.set(|generations| {
                generations.by_name.remove(&name);
            });
            generation.remove();
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
        self.with("load", generation, move |store, generation| {
            store.load(generation.number, &ids)
        })
        .await
    }

    #[instrument(skip_all, fields(%generation, documents = writes.len()))]
    async fn write(
        &self,
        generation: &Generation,
        writes: Vec<DocumentWrite>,
    ) -> Result<Vec<Result<(), SearchError>>, SearchError> {
        self.with("write", generation, move |store, generation| {
            let outcomes = store.write(&generation.name, generation.number, &writes)?;
            let outcomes = outcomes.ok_or_else(|| SearchError::UnknownGeneration {
                generation: generation.name.clone(),
            })?;
            generation.set_changed();
            generation.refresh(store);
            Ok(outcomes)
        })
        .await
    }

    async fn scan(
        &self,
        generation: &Generation,
        after: Option<&DocumentId>,
        limit: NonZeroUsize,
    ) -> Result<Vec<DocumentId>, SearchError> {
        let after = after.cloned();
        self.with("scan", generation, move |store, generation| {
            store.scan(generation.number, after.as_ref(), limit)
        })
        .await
    }
}
