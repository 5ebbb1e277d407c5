//! The trait that a cache of availability implements, and what is in it.

use std::time::Duration;

use async_trait::async_trait;
use stockade_change_feed::Timestamp;
use stockade_inventory_core::{Sku, StockChanged, Version};

use crate::error::CatalogError;

/// Keeps the availability of SKUs for pages to read, and how fresh it is.
///
/// It may lose anything at any time; what it keeps may never go backwards. Every write carries a
/// version and is compared and stored in one step, so that writers may race.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait AvailabilityCache: Send + Sync {
    /// The entries of `skus`, in their order, with the marks of all partitions, in one round trip
    /// (on a cluster, one to each node).
    ///
    /// # Errors
    /// [`CatalogError::Failed`] and the like, for all of them together.
    async fn read(&self, skus: &[Sku]) -> Result<CacheRead, CatalogError>;

    /// Stores each entry that is newer than the one that is there, and returns an outcome for
    /// each. A known SKU replaces a remembered absence.
    ///
    /// # Errors
    /// [`CatalogError::Failed`] and the like: then each of them may be stored or not.
    async fn write(&self, entries: &[StockChanged]) -> Result<Vec<CacheWrite>, CatalogError>;

    /// Remembers, from now for `ttl`, that inventory does not know these SKUs. A known entry
    /// stays.
    ///
    /// # Errors
    /// As for [`write`](AvailabilityCache::write).
    async fn write_absent(&self, skus: &[Sku], ttl: Duration) -> Result<(), CatalogError>;

    /// Notes how far partitions are complete, and returns an outcome for each mark. One is newer
    /// than another by its epoch, and then by its time.
    ///
    /// # Errors
    /// As for [`write`](AvailabilityCache::write).
    async fn mark(&self, marks: &[PartitionMark]) -> Result<Vec<MarkWrite>, CatalogError>;

    /// Begins to fill the cache. The token goes when the cache is emptied.
    ///
    /// # Errors
    /// As for [`write`](AvailabilityCache::write).
    async fn begin_fill(&self) -> Result<FillToken, CatalogError>;

    /// Notes that every SKU of inventory has been written since the token was given. Where it has
    /// gone, the cache is still [`Coverage::Unfilled`].
    ///
    /// # Errors
    /// As for [`write`](AvailabilityCache::write).
    async fn mark_filled(&self, token: &FillToken) -> Result<Coverage, CatalogError>;
}

/// What a read of the cache finds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheRead {
    /// The entry of each SKU, in the order asked for; `None` where there is none.
    pub entries: Vec<Option<CacheEntry>>,
    /// The newest mark of each partition, in any order.
    pub marks: Vec<PartitionMark>,
    /// Whether everything was written since it was last emptied.
    pub coverage: Coverage,
}

impl CacheRead {
    /// What was read.
    #[must_use]
    pub fn new(
        entries: Vec<Option<CacheEntry>>,
        marks: Vec<PartitionMark>,
        coverage: Coverage,
    ) -> Self {
        Self {
            entries,
            marks,
            coverage,
        }
    }
}

/// What the cache knows of a SKU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheEntry {
    /// So many units are available.
    Known {
        /// Units that nobody was promised, at all locations.
        available: u64,
        /// As of this version.
        version: Version,
    },
    /// Inventory does not know it.
    Absent,
}

/// Whether a cache holds all SKUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coverage {
    /// It was filled, and not emptied since.
    Filled,
    /// It is new, or was emptied.
    Unfilled,
}

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheWrite {
    /// It is stored.
    Stored,
    /// The one that is there is as new, or newer.
    NotNewer,
    /// The one that is there is of a newer epoch: the writer reads a history that an operator has
    /// ended, and somebody has to look.
    OlderEpoch {
        /// What is there.
        cached: Version,
    },
}

impl CacheWrite {
    /// Whether an entry of version `new` is stored over one of version `cached`.
    #[must_use]
    pub fn decide(cached: Option<Version>, new: Version) -> Self {
        match cached {
            Some(cached) if new.epoch < cached.epoch => Self::OlderEpoch { cached },
            Some(cached) if new <= cached => Self::NotNewer,
            _ => Self::Stored,
        }
    }
}

/// How far one partition of the stock events is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionMark {
    /// Which partition.
    pub partition: u32,
    /// How many there are.
    pub partitions: u32,
    /// Inventory's epoch.
    pub epoch: u32,
    /// Everything that was committed before this time has arrived, on inventory's clock.
    pub complete_as_of: Timestamp,
}

impl PartitionMark {
    /// What becomes of this mark where `cached` is the one that is there.
    #[must_use]
    pub fn decide(&self, cached: Option<&Self>) -> MarkWrite {
        match cached {
            Some(cached) if self.epoch < cached.epoch => MarkWrite::OlderEpoch {
                cached: cached.epoch,
            },
            Some(cached)
                if (self.epoch, self.complete_as_of) <= (cached.epoch, cached.complete_as_of) =>
            {
                MarkWrite::NotNewer
            }
            _ => MarkWrite::Stored,
        }
    }
}

/// What became of a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkWrite {
    /// It is stored.
    Stored,
    /// The one that is there is as new, or newer.
    NotNewer,
    /// The one that is there is of a newer epoch: somebody goes on publishing a history that an
    /// operator has ended, and somebody has to look.
    OlderEpoch {
        /// The epoch of the one that is there.
        cached: u32,
    },
}

/// A fill of a cache that has begun: made by a cache, and understood by it only.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FillToken(pub String);
