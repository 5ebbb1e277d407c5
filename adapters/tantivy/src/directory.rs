//! A directory that counts how often the list of the index's segments is written.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tantivy::Directory;
use tantivy::directory::error::{DeleteError, LockError, OpenReadError, OpenWriteError};
use tantivy::directory::{
    DirectoryLock, FileHandle, FileSlice, Lock, WatchCallback, WatchHandle, WritePtr,
};

/// The file with the list of segments. Each commit and each finished merge writes it.
const SEGMENT_LIST: &str = "meta.json";

/// How often the list of segments was written.
#[derive(Clone, Debug, Default)]
pub(crate) struct ListVersion(Arc<AtomicU64>);

impl ListVersion {
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    pub(crate) fn increase(&self) {
        self.0.fetch_add(1, Ordering::AcqRel);
    }
}

/// Another directory, which increases a [`ListVersion`] when the list of segments is written.
#[derive(Clone, Debug)]
pub(crate) struct VersionedDirectory {
    directory: Box<dyn Directory>,
    version: ListVersion,
}

impl VersionedDirectory {
    pub(crate) fn new(directory: impl Directory, version: ListVersion) -> Self {
        Self {
            directory: Box::new(directory),
            version,
        }
    }
}

impl Directory for VersionedDirectory {
    fn atomic_write(&self, path: &Path, data: &[u8]) -> io::Result<()> {
        self.directory.atomic_write(path, data)?;
        if path == Path::new(SEGMENT_LIST) {
            self.version.increase();
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
