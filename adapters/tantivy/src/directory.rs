//! A directory that knows when the list of the index's segments was written.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tantivy::Directory;
use tantivy::directory::error::{DeleteError, LockError, OpenReadError, OpenWriteError};
use tantivy::directory::{
    DirectoryLock, FileHandle, FileSlice, Lock, WatchCallback, WatchHandle, WritePtr,
};

/// Each commit writes the list of segments here, and each merge that has ended.
const LIST: &str = "meta.json";

/// How often the list of segments was written.
#[derive(Clone, Debug, Default)]
pub(crate) struct Written(Arc<AtomicU64>);

impl Written {
    pub(crate) fn times(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    pub(crate) fn once_more(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}

/// Counts how often the list of segments is written, and is the other directory otherwise.
#[derive(Clone, Debug)]
pub(crate) struct Counting {
    directory: Box<dyn Directory>,
    written: Written,
}

impl Counting {
    pub(crate) fn new(directory: impl Directory, written: Written) -> Self {
        Self {
            directory: Box::new(directory),
            written,
        }
    }
}

impl Directory for Counting {
    fn atomic_write(&self, path: &Path, data: &[u8]) -> io::Result<()> {
        self.directory.atomic_write(path, data)?;
        if path == Path::new(LIST) {
            self.written.once_more();
        }
        Ok(())
    }

    fn get_file_handle(&self, path: &Path) -> Result<Arc<dyn FileHandle>, OpenReadError> {
        self.directory.get_file_handle(path)
    }

    fn open_read(&self, path: &Path) -> Result<FileSlice, OpenReadError> {
        self.directory.open_read(path)
    }

    fn delete(&self, path: &Path) -> Result<(), DeleteError> {
        self.directory.delete(path)
    }

    fn exists(&self, path: &Path) -> Result<bool, OpenReadError> {
        self.directory.exists(path)
    }

    fn open_write(&self, path: &Path) -> Result<WritePtr, OpenWriteError> {
        self.directory.open_write(path)
    }

    fn atomic_read(&self, path: &Path) -> Result<Vec<u8>, OpenReadError> {
        self.directory.atomic_read(path)
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.directory.sync_directory()
    }

    fn acquire_lock(&self, lock: &Lock) -> Result<DirectoryLock, LockError> {
        self.directory.acquire_lock(lock)
    }

    fn watch(&self, callback: WatchCallback) -> tantivy::Result<WatchHandle> {
        self.directory.watch(callback)
    }
}
