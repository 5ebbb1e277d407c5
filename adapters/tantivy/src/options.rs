//! Memory, refresh interval and number of searches.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use stockade_change_feed::time::{Clock, SystemClock};

const MEBIBYTE: usize = 1024 * 1024;

/// The options of an index: memory, refresh interval and number of searches.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TantivyOptions {
    /// The most bytes of documents that are indexed and not committed yet, for each generation that
    /// is written. 32 MiB by default, at least 16 MiB.
    pub writer_memory: usize,
    /// The most bytes of stored documents that are cached. 64 MiB by default.
    pub cache_memory: usize,
    /// How long after a write searches find it, approximately. 500 ms by default. A shorter time
    /// makes writing slower: each commit syncs files, and creates a segment that must be merged.
    pub refresh_interval: Duration,
    /// How many searches and suggestions run at the same time. By default the number of
    /// processors. Others wait: see [`TantivyIndex`](crate::TantivyIndex).
    pub searches_at_once: NonZeroUsize,
    /// The clock for the refresh interval. By default the machine's.
    pub clock: Arc<dyn Clock>,
}

impl Default for TantivyOptions {
    fn default() -> Self {
        let processors = std::thread::available_parallelism();
        Self {
            writer_memory: 32 * MEBIBYTE,
            cache_memory: 64 * MEBIBYTE,
            refresh_interval: Duration::from_millis(500),
            searches_at_once: processors.unwrap_or(NonZeroUsize::MIN),
            clock: Arc::new(SystemClock::new()),
        }
    }
}

impl TantivyOptions {
    /// Sets the most bytes of documents that are not committed yet; at least 16 MiB.
    #[must_use]
    pub fn with_writer_memory(mut self, bytes: usize) -> Self {
        self.writer_memory = bytes.max(16 * MEBIBYTE);
        self
    }

    /// Sets the most bytes of stored documents that are cached.
    #[must_use]
    pub fn with_cache_memory(mut self, bytes: usize) -> Self {
        self.cache_memory = bytes;
        self
    }

    /// Sets how long after a write searches find it.
    #[must_use]
    pub fn with_refresh_interval(mut self, interval: Duration) -> Self {
        self.refresh_interval = interval;
        self
    }

    /// Sets how many searches and suggestions run at the same time.
    #[must_use]
    pub fn with_searches_at_once(mut self, searches: NonZeroUsize) -> Self {
        self.searches_at_once = searches;
        self
    }

    /// Sets the clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }
}
