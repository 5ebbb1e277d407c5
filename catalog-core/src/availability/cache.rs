//! The trait of an availability cache, and its values.

use std::time::Duration;

use async_trait::async_trait;
use auto_impl::auto_impl;
use stockade_inventory_core::{Sku, StockChanged, Version};

use crate::availability::marks::{Advance, Advanced, PartitionMark};
use crate::error::CatalogError;

/// Keeps the availability of SKUs for pages to read, and up to which event it is complete.
///
/// # What it may lose
///
/// A cache may lose everything, or single entries. It may fall back to an earlier state of itself:
/// a server that restarts from an old snapshot, or a replica that takes over without the last
/// writes. It must keep two rules:
///
/// - Entries never go backwards: each has a version, which is compared and stored in one step.
/// - No state that the cache falls back to contains an advance without all entries that were
///   written before that advance. An adapter sends the entries of [`apply`](Self::apply) first and
///   the advances after them, over one connection, and repeats both together. A cache that keeps
///   its entries on several nodes keeps the advances on each node, and reads the oldest.
///
/// # When pages trust it
///
/// Pages trust a cache whose [coverage](Coverage) is [`Filled`](Coverage::Filled) and whose marks
/// are young. Each advance names the offset before its first record. If the cache had not reached
/// that offset, it has lost writes. In the same step it becomes [`Unfilled`](Coverage::Unfilled),
/// and ends the fills in progress. A fill that begins afterwards writes the lost entries, because
/// inventory has them.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
#[auto_impl(&, Box, Arc)]
pub trait AvailabilityCache: Send + Sync {
    /// The entries of `skus`, in their order, with the marks of all partitions and the coverage,
    /// in one round trip (on a cluster, one to each node).
    ///
    /// # Errors
    /// [`CatalogError::Failed`] and similar errors, for all of them together.
    async fn read(&self, skus: &[Sku]) -> Result<CacheRead, CatalogError>;

    /// Stores entries as [`write`](Self::write) does, and then advances partitions in the order
    /// given, as [`Advance::decide`] says.
    ///
    /// The caller has read all records of a partition after [`Advance::after`] up to
    /// [`Advance::upto`]. Their newest entries are in `entries`, or were stored by an earlier call.
    /// At a gap the coverage becomes [`Coverage::Unfilled`] and all fills end, in the same step as
    /// the advance.
    ///
    /// # Errors
    /// [`CatalogError::Failed`] and similar errors: then each entry may be stored or not, and each
    /// partition advanced or not, in their order. Repeating the call is safe.
    async fn apply(
        &self,
        entries: &[StockChanged],
        advances: &[Advance],
    ) -> Result<Applied, CatalogError>;

    /// Stores each entry that is newer than the stored one, and returns an outcome for each. A
    /// known SKU replaces a stored absence. Marks and coverage do not change.
    ///
    /// # Errors
    /// [`CatalogError::Failed`] and similar errors: then each entry may be stored or not.
    async fn write(&self, entries: &[StockChanged]) -> Result<Vec<CacheWrite>, CatalogError>;

    /// Stores for `ttl` from now that inventory does not know these SKUs. The entry of a known SKU
    /// stays.
    ///
    /// # Errors
    /// As for [`write`](Self::write).
    async fn write_absent(&self, skus: &[Sku], ttl: Duration) -> Result<(), CatalogError>;

    /// Begins a fill, and returns the token for its first page. The coverage does not change. At
    /// least 4 fills can be in progress; a cache that allows no more ends the others.
    ///
    /// The id of a fill differs from the ids of all earlier fills, including those that the cache
    /// has lost.
    ///
    /// # Errors
    /// As for [`write`](Self::write).
    async fn begin_fill(&self) -> Result<FillToken, CatalogError>;

    /// Stores a page of a fill as [`write`](Self::write) does, and then records the page, in the
    /// order of [`apply`](Self::apply). Returns the token for the next page, or none when the fill
    /// has ended: the cache has lost writes since it began, or another fill finished.
    ///
    /// # Errors
    /// As for [`write`](Self::write). Repeating the call with the same token is safe.
    async fn fill(
        &self,
        token: &FillToken,
        entries: &[StockChanged],
    ) -> Result<FillStep, CatalogError>;

    /// Ends a fill: the caller says that its pages have written every SKU of inventory. The
    /// coverage becomes [`Coverage::Filled`] and all other fills end. A token that is not the last
    /// one of a fill in progress changes nothing. Returns the coverage after that.
    ///
    /// # Errors
    /// As for [`write`](Self::write).
    async fn end_fill(&self, token: &FillToken) -> Result<Coverage, CatalogError>;
}

/// The result of reading the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheRead {
    /// The entry of each SKU, in the requested order; `None` where there is none.
    pub entries: Vec<Option<CacheEntry>>,
    /// The mark of each partition, in any order.
    pub marks: Vec<PartitionMark>,
    /// Whether the entries can be trusted up to the marks.
    pub coverage: Coverage,
}

impl CacheRead {
    /// The result of a read.
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

/// The cached availability of a SKU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheEntry {
    /// The number of available units is known.
    Known {
        /// Units that are not promised to a reservation, at all locations.
        available: u64,
        /// The version of the SKU that this count belongs to.
        version: Version,
    },
    /// Inventory does not know the SKU.
    Absent,
}

/// Whether the cache contains everything that was written to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coverage {
    /// A fill has finished, and nothing was lost since.
    Filled,
    /// The cache is new, was emptied, or has lost writes: entries may be missing or old.
    Unfilled,
}

/// The outcomes of an [`apply`](AvailabilityCache::apply).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Applied {
    /// One outcome for each entry, in their order.
    pub entries: Vec<CacheWrite>,
    /// One outcome for each advance, in their order.
    pub advances: Vec<Advanced>,
}

impl Applied {
    /// The outcomes.
    #[must_use]
    pub fn new(entries: Vec<CacheWrite>, advances: Vec<Advanced>) -> Self {
        Self { entries, advances }
    }
}

/// The outcome of writing an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheWrite {
    /// It is stored.
    Stored,
    /// Not stored: the entry in the cache is as new, or newer.
    NotNewer,
    /// Not stored: the entry in the cache has a newer epoch. The writer still reads a history that
    /// an operator has ended; an operator must look at this.
    OlderEpoch {
        /// The version in the cache.
        cached: Version,
    },
}

impl CacheWrite {
    /// Decides whether an entry of version `new` replaces one of version `cached`.
    #[must_use]
    pub fn decide(cached: Option<Version>, new: Version) -> Self {
        match cached {
            Some(cached) if new.epoch < cached.epoch => Self::OlderEpoch { cached },
            Some(cached) if new <= cached => Self::NotNewer,
            _ => Self::Stored,
        }
    }
}

/// The progress of a fill: its id, and how many pages it has written.
///
/// A cache makes tokens and compares them. A cache that fell back to an earlier state has fewer
/// pages of the fill, or does not know the fill.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FillToken {
    /// The id of the fill.
    pub id: String,
    /// How many pages it has written.
    pub step: u64,
}

impl FillToken {
    /// The token of a fill that has written no page.
    #[must_use]
    pub fn first(id: impl Into<String>) -> Self {
        let id = id.into();
        Self { id, step: 0 }
    }

    /// Whether a page with this token belongs to a fill that has written `pages` pages: it is the
    /// next page, or a repetition of the last one.
    #[must_use]
    pub fn follows(&self, pages: u64) -> bool {
        pages == self.step || pages.checked_sub(1) == Some(self.step)
    }

    /// The token after one more page.
    #[must_use]
    pub fn next(&self) -> Self {
        Self {
            id: self.id.clone(),
            step: self.step.saturating_add(1),
        }
    }
}

/// The outcome of a page of a fill.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FillStep {
    /// One outcome for each entry, in their order. Entries are stored even when the fill has ended.
    pub entries: Vec<CacheWrite>,
    /// The token for the next page or for the end; `None` when the fill has ended and must begin
    /// again.
    pub next: Option<FillToken>,
}

impl FillStep {
    /// The outcomes.
    #[must_use]
    pub fn new(entries: Vec<CacheWrite>, next: Option<FillToken>) -> Self {
        Self { entries, next }
    }
}
