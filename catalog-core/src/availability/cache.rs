//! The trait that a cache of availability implements, and what is in it.

use std::time::Duration;

use async_trait::async_trait;
use auto_impl::auto_impl;
use stockade_inventory_core::{Sku, StockChanged, Version};

use crate::availability::marks::{Advance, Advanced, PartitionMark};
use crate::error::CatalogError;

/// Keeps the availability of SKUs for pages to read, and how far it is complete.
///
/// # What it may lose
///
/// A cache may lose everything, and it may fall back to an earlier state of itself: a server that
/// comes back from an old snapshot, a replica that takes over without the last writes. It may
/// also lose a single entry. What it must not do:
///
/// - Entries never go backwards: each carries a version, and is compared and stored in one step.
/// - No state that it falls back to holds an advance without all entries that were written before
///   that advance. An adapter sends the entries of [`apply`](Self::apply) first and the advances
///   after them, over one connection, and repeats both together; a cache that keeps its entries on
///   several nodes keeps the advances on each of them, and reads the oldest.
///
/// # When it is trusted
///
/// Pages trust a cache whose [coverage](Coverage) is [`Filled`](Coverage::Filled) and whose marks
/// are young. Each advance names the offset after which its records begin. Where the cache had not
/// reached that offset, it has lost writes: it notices this in the same step, becomes
/// [`Unfilled`](Coverage::Unfilled), and ends the fills that are under way. A fill that begins
/// afterwards writes what was lost, because inventory has it.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
#[auto_impl(&, Box, Arc)]
pub trait AvailabilityCache: Send + Sync {
    /// The entries of `skus`, in their order, with the marks of all partitions and the coverage,
    /// in one round trip (on a cluster, one to each node).
    ///
    /// # Errors
    /// [`CatalogError::Failed`] and the like, for all of them together.
    async fn read(&self, skus: &[Sku]) -> Result<CacheRead, CatalogError>;

    /// Stores entries as [`write`](Self::write) does, and then advances partitions in the order
    /// given, as [`Advance::decide`] says.
    ///
    /// The caller has read all records of a partition between [`Advance::after`] and
    /// [`Advance::upto`], and their newest entries are among `entries`, or were stored by an
    /// earlier call. At a gap the coverage becomes [`Coverage::Unfilled`] and all fills end, in
    /// the same step as the advance.
    ///
    /// # Errors
    /// [`CatalogError::Failed`] and the like: then each entry may be stored or not, and each
    /// partition advanced or not, in their order. Repeating the call is safe.
    async fn apply(
        &self,
        entries: &[StockChanged],
        advances: &[Advance],
    ) -> Result<Applied, CatalogError>;

    /// Stores each entry that is newer than the one that is there, and returns an outcome for
    /// each. A known SKU replaces a remembered absence. Marks and coverage stay what they are.
    ///
    /// # Errors
    /// [`CatalogError::Failed`] and the like: then each of them may be stored or not.
    async fn write(&self, entries: &[StockChanged]) -> Result<Vec<CacheWrite>, CatalogError>;

    /// Remembers, from now for `ttl`, that inventory does not know these SKUs. A known entry
    /// stays.
    ///
    /// # Errors
    /// As for [`write`](Self::write).
    async fn write_absent(&self, skus: &[Sku], ttl: Duration) -> Result<(), CatalogError>;

    /// Begins a fill: the first token of a chain, for its first page. The coverage stays what it
    /// is. Several fills may be under way, at least 4; a cache that keeps no more ends the others.
    ///
    /// Its id differs from that of every fill before, also of those that the cache has forgotten.
    ///
    /// # Errors
    /// As for [`write`](Self::write).
    async fn begin_fill(&self) -> Result<FillToken, CatalogError>;

    /// Stores a page of a fill as [`write`](Self::write) does, and then moves the fill on, in the
    /// order of [`apply`](Self::apply). The answer has the token for the next page, or none where
    /// the fill has ended: the cache has lost something since it began, or another fill finished.
    ///
    /// # Errors
    /// As for [`write`](Self::write). Repeating the call with the same token is safe.
    async fn fill(
        &self,
        token: &FillToken,
        entries: &[StockChanged],
    ) -> Result<FillStep, CatalogError>;

    /// Says that every SKU of inventory was written by the pages of this fill. The coverage becomes
    /// [`Coverage::Filled`] and all other fills end. A token that is not the last of a fill under
    /// way changes nothing. Returns the coverage after that.
    ///
    /// # Errors
    /// As for [`write`](Self::write).
    async fn end_fill(&self, token: &FillToken) -> Result<Coverage, CatalogError>;
}

/// What a read of the cache finds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheRead {
    /// The entry of each SKU, in the order asked for; `None` where there is none.
    pub entries: Vec<Option<CacheEntry>>,
    /// How far each partition has advanced, in any order.
    pub marks: Vec<PartitionMark>,
    /// Whether the entries can be trusted as far as the marks say.
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
    /// This many units are available.
    Known {
        /// Units that are promised to nobody, at all locations.
        available: u64,
        /// The version of the level that says so.
        version: Version,
    },
    /// Inventory does not know the SKU.
    Absent,
}

/// Whether a cache holds all that it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coverage {
    /// A fill has finished, and nothing was lost since.
    Filled,
    /// It is new, was emptied, or has lost writes: entries may be missing or old.
    Unfilled,
}

/// What became of the parts of an [`apply`](AvailabilityCache::apply).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Applied {
    /// One for each entry, in their order.
    pub entries: Vec<CacheWrite>,
    /// One for each advance, in their order.
    pub advances: Vec<Advanced>,
}

impl Applied {
    /// The outcomes.
    #[must_use]
    pub fn new(entries: Vec<CacheWrite>, advances: Vec<Advanced>) -> Self {
        Self { entries, advances }
    }
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

/// The place of a fill: which one it is, and how many pages it has written.
///
/// Made by a cache and compared there: a cache that falls back to an earlier state knows fewer
/// pages of the fill, or does not know the fill.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FillToken {
    /// Which fill.
    pub id: String,
    /// How many pages it has written.
    pub step: u64,
}

impl FillToken {
    /// The token of a fill that has written nothing.
    #[must_use]
    pub fn first(id: impl Into<String>) -> Self {
        let id = id.into();
        Self { id, step: 0 }
    }

    /// Whether a page with this token belongs to a fill that has written `pages` of them: it is the
    /// next page, or the last one once more.
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

/// What became of a page of a fill.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FillStep {
    /// One for each entry, in their order. Entries are stored also where the fill has ended.
    pub entries: Vec<CacheWrite>,
    /// For the next page, or the end; `None` where the fill has ended and has to begin again.
    pub next: Option<FillToken>,
}

impl FillStep {
    /// The outcomes.
    #[must_use]
    pub fn new(entries: Vec<CacheWrite>, next: Option<FillToken>) -> Self {
        Self { entries, next }
    }
}
