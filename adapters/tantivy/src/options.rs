//! How much memory an index takes, how soon it shows what was written, and how much it does at once.

use std::num::NonZero;
use std::time::Duration;

const MEGABYTE: usize = 1024 * 1024;

/// How much memory an index takes, how soon it shows what was written, and how much it does at once.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TantivyOptions {
    /// What is indexed and not yet committed takes at most so many bytes for each generation that
    /// is written, 32 MiB by default and at least 16.
    pub writer_memory: usize,
    /// What is cached of the stored documents takes at most so many bytes, 64 MiB by default.
    pub cache_memory: usize,
    /// What is written can be searched about so much later, 500 ms by default. A shorter time
    /// makes writing dearer: each commit syncs files, and makes a segment to be merged.
    pub refresh_interval: Duration,
    /// So many searches and suggestions run at once, by default as many as there are processors.
    /// Others wait for their turn: see [`TantivyIndex`](crate::TantivyIndex).
    pub searches_at_once: usize,
}

impl Default for TantivyOptions {
    fn default() -> Self {
        Self {
            writer_memory: 32 * MEGABYTE,
            cache_memory: 64 * MEGABYTE,
            refresh_interval: Duration::from_millis(500),
            searches_at_once: std::thread::available_parallelism().map_or(1, NonZero::get),
        }
    }
}

impl TantivyOptions {
    /// With at most so many bytes for what is not yet committed; less than 16 MiB is taken as 16.
    #[must_use]
    pub fn with_writer_memory(mut self, bytes: usize) -> Self {
        self.writer_memory = bytes.max(16 * MEGABYTE);
        self
    }

    /// With at most so many bytes for what is cached of the stored documents.
    #[must_use]
    pub fn with_cache_memory(mut self, bytes: usize) -> Self {
        self.cache_memory = bytes;
        self
    }

    /// With so long between a write and when it can be searched.
    #[must_use]
    pub fn with_refresh_interval(mut self, interval: Duration) -> Self {
        self.refresh_interval = interval;
        self
    }

    /// With so many searches and suggestions at once; 0 is taken as 1.
    #[must_use]
    pub fn with_searches_at_once(mut self, searches: usize) -> Self {
        self.searches_at_once = searches.max(1);
        self
    }
}
