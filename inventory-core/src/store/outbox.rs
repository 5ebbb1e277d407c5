//! The stock events that are not published yet.

use std::num::NonZeroUsize;

use async_trait::async_trait;
use auto_impl::auto_impl;
use stockade_change_feed::Timestamp;

use crate::error::InventoryError;
use crate::events::StockChanged;
use crate::model::{Sku, Version};
use crate::store::cursor::Cursor;

/// The SKUs that changed and are not yet published, each with its newest state. The outbox is
/// bounded by the number of SKUs, whatever the number of changes.
///
/// An [`OutboxRelay`](crate::workers::OutboxRelay) publishes it.
///
/// - **Written with the change.** The transaction that changes a level puts its SKU into the
///   outbox. The SKU stays there until it is marked as published. Reading removes nothing.
/// - **Durable.** In a durable store the outbox and its marks survive the end of the process.
/// - **The epoch.** [`OutboxPage::epoch`] is the store's epoch, and raising it puts every SKU into
///   the outbox again. See [`Version`] for who raises it and where it is kept.
///
/// ```
/// # use std::num::NonZeroUsize;
/// use stockade_inventory_core::{InventoryError, StockOutbox};
///
/// /// Publishes one page.
/// async fn publish(outbox: &dyn StockOutbox, limit: NonZeroUsize) -> Result<(), InventoryError> {
///     let page = outbox.unpublished(None, limit).await?;
///     for change in &page.changes {
///         println!("{} has {} units now", change.sku, change.new_stock_count);
///     }
///     // Only after the log has acknowledged them.
///     let published: Vec<_> = page.changes.into_iter().map(|it| (it.sku, it.version)).collect();
///     outbox.mark_published(&published).await
/// }
/// ```
#[async_trait]
#[auto_impl(&, Box, Arc)]
pub trait StockOutbox: Send + Sync {
    /// At most `limit` unpublished SKUs after `after`, in a fixed order that the store chooses. A
    /// SKU is unpublished when its newest version is not marked as published.
    ///
    /// Every change that was committed before the page's `complete_as_of` is published, or is in
    /// the outbox: on this page, or on a page before or after it. So a caller that publishes all
    /// pages from the first to the last knows: everything that was committed before the first
    /// page's time is published. This holds also while changes continue.
    ///
    /// To keep this promise, a store reads the time before it takes the snapshot, from the clock
    /// that stamps the changes. If several processes stamp changes with their own clocks, the store
    /// subtracts the largest possible difference between these clocks. An earlier time is always
    /// correct; it only makes readers wait longer.
    ///
    /// # Errors
    /// [`InventoryError::Failed`] and similar errors, and [`InventoryError::Invalid`] for a cursor
    /// that is not from this store.
    async fn unpublished(
        &self,
        after: Option<&Cursor>,
        limit: NonZeroUsize,
    ) -> Result<OutboxPage, InventoryError>;

    /// Marks each SKU as published up to a version. A SKU that has a newer version stays
    /// unpublished; a version of an older epoch marks nothing. Repeated and older marks change
    /// nothing, and unknown SKUs are ignored.
    ///
    /// # Errors
    /// [`InventoryError::Failed`] and similar errors. The SKUs are then published again, which is
    /// harmless.
    async fn mark_published(&self, published: &[(Sku, Version)]) -> Result<(), InventoryError>;
}

/// A page of unpublished SKUs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutboxPage {
    /// The newest state of each SKU.
    pub changes: Vec<StockChanged>,
    /// The store's epoch, also on an empty page.
    pub epoch: u32,
    /// A time on the store's clock, read before the snapshot was taken. Everything that was
    /// committed before this time is in the snapshot.
    pub complete_as_of: Timestamp,
    /// The position of the next page. None on the last page.
    pub next: Option<Cursor>,
}

impl OutboxPage {
    /// A page, and the position of the next one.
    #[must_use]
    pub fn new(
        changes: Vec<StockChanged>,
        epoch: u32,
        complete_as_of: Timestamp,
        next: Option<Cursor>,
    ) -> Self {
        Self {
            changes,
            epoch,
            complete_as_of,
            next,
        }
    }
}
