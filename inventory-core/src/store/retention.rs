//! Removal of old rows.

use std::num::NonZeroUsize;
use std::time::Duration;

use async_trait::async_trait;
use auto_impl::auto_impl;

use crate::error::InventoryError;
use crate::model::Purged;

/// Removes finished reservations and old movements, so that a store does not grow with every sale.
///
/// Nothing else changes: no count, no version, and nothing is put into the outbox. Each call is one
/// transaction of bounded size, and takes effect completely or not at all. Concurrent calls share
/// the work: a call may skip rows that another call has locked. A repeated call does the remaining
/// work.
///
/// **An id is removed with its row.** A request that is repeated after that is decided as a new
/// one: it may reserve, or receive, a second time. So keep rows longer than any request can be
/// repeated. The caller decides how long; [`Retention`](crate::workers::Retention) keeps everything
/// for at least a day.
///
/// ```
/// use std::num::NonZeroUsize;
/// use std::time::Duration;
/// use stockade_inventory_core::{InventoryError, Rest, StockRetention};
///
/// /// Removes all reservations that finished more than 30 days ago.
/// async fn purge(store: &dyn StockRetention) -> Result<usize, InventoryError> {
///     const KEEP: Duration = Duration::from_secs(30 * 24 * 3600);
///     const LIMIT: NonZeroUsize = NonZeroUsize::new(500).expect("it is not 0");
///     let mut count = 0;
///     loop {
///         let purged = store.purge_reservations(KEEP, LIMIT).await?;
///         count += purged.count;
///         if purged.rest == Rest::None {
///             return Ok(count);
///         }
///     }
/// }
/// ```
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
#[auto_impl(&, Box, Arc)]
pub trait StockRetention: Send + Sync {
    /// Removes at most `limit` reservations that were fulfilled, released, expired or cancelled at
    /// least `keep` ago on the store's clock (exactly that long ago included), the longest finished
    /// first. The store finds them by
    /// an index on that time. The result says how many it removed, and whether there are more. A
    /// store may remove fewer than `limit` in a call and return [`Rest::More`](crate::Rest::More).
    ///
    /// A held or confirmed reservation is never removed, whatever its age. An overdue one that has
    /// not expired yet is not removed either. A removed reservation is
    /// [unknown](InventoryError::UnknownReservation). Its movements stay.
    ///
    /// # Errors
    /// [`InventoryError::Failed`] and similar errors.
    async fn purge_reservations(
        &self,
        keep: Duration,
        limit: NonZeroUsize,
    ) -> Result<Purged, InventoryError>;

    /// Replaces at most `limit` movements that took effect at least `keep` ago on the store's clock
    /// (exactly that long ago included) by opening balances. The result says how many it replaced, and whether there are more. A
    /// store may replace fewer than `limit` in a call and return [`Rest::More`](crate::Rest::More).
    /// Earlier opening balances that are merged into new ones are not counted.
    ///
    /// - The oldest movements of each level are replaced first. The last replaced one becomes the
    ///   [opening balance](crate::Movement::into_opening_balance), with the sum of all up to it, at
    ///   its position in the listing. The others are removed.
    /// - So a level has at most one opening balance, as its first movement; its movements add up to
    ///   its counts, and their versions rise by one.
    /// - Movements after the first one that must be kept are kept too. A store may apply this to
    ///   the level or to the whole SKU.
    /// - The operation ids of replaced adjustments are removed. Reservations are not.
    ///
    /// # Errors
    /// As for [`purge_reservations`](StockRetention::purge_reservations).
    async fn purge_movements(
        &self,
        keep: Duration,
        limit: NonZeroUsize,
    ) -> Result<Purged, InventoryError>;
}
