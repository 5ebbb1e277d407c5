//! The index and its generations.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};

use stockade_search_sync::{Generation, SearchError};

use crate::error::{blocking, failed};
use crate::generation::GenerationIndex;
use crate::limit::Limit;
use crate::options::TantivyOptions;
use crate::store::{Store, StoredGeneration};

/// An embedded index, in memory or in a directory. Clones share one index. Any number of workers of
/// this process may write it.
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
/// dropped while it waits is not run; a call that has started runs to its end.
#[derive(Clone)]
pub struct TantivyIndex {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) store: Store,
    directory: Option<PathBuf>,
    options: TantivyOptions,
    generations: RwLock<Generations>,
    searches: Limit,
    /// Held while generations are created, activated and removed.
    pub(crate) change: Mutex<()>,
}

#[derive(Default)]
pub(crate) struct Generations {
    pub(crate) by_name: BTreeMap<Generation, Arc<GenerationIndex>>,
    pub(crate) active: Option<Generation>,
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

    /// Opens the index in a directory, which is created if it does not exist. It contains all
    /// durable writes, no matter how the last process ended. If the tantivy index is missing,
    /// damaged or of another format, it is first rebuilt from the stored documents.
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
}

impl Inner {
    pub(crate) fn generations(&self) -> RwLockReadGuard<'_, Generations> {
        let generations = self.generations.read();
        generations.unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set(&self, change: impl FnOnce(&mut Generations)) {
        let generations = self.generations.write();
        change(&mut generations.unwrap_or_else(PoisonError::into_inner));
    }

    fn active(&self) -> Result<Arc<GenerationIndex>, SearchError> {
        let generations = self.generations();
        let active = generations.active.as_ref();
        let active = active.and_then(|name| generations.by_name.get(name));
        active.cloned().ok_or(SearchError::NothingActive)
    }

    pub(crate) fn open_generation(
        &self,
        stored: StoredGeneration,
    ) -> Result<GenerationIndex, SearchError> {
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
