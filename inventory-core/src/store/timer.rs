//! Timers of reservations.

use std::num::NonZeroUsize;
use std::time::Duration;

use async_trait::async_trait;
use auto_impl::auto_impl;

use crate::error::InventoryError;
use crate::model::ReservationId;

/// Wakes the [expiry worker](crate::workers::ExpiryWorker) at the deadline of a reservation.
///
/// A timer is a hint. It may fire late, twice or never. It survives a crash only if the
/// implementation says so. The store decides which reservations are overdue, and a sweep finds
/// those whose timer did not fire.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), stockade_inventory_core::InventoryError> {
/// use std::num::NonZeroUsize;
/// use std::sync::Arc;
/// use std::time::Duration;
/// use stockade_change_feed::SystemClock;
/// use stockade_inventory_core::memory::MemoryTimer;
/// use stockade_inventory_core::{ReservationId, ReservationTimer};
///
/// let timer = MemoryTimer::new(Arc::new(SystemClock::new()));
/// let id = ReservationId::new("cart-1")?;
/// timer.arm(&[(id.clone(), Duration::from_millis(5))]).await?;
/// let due = timer.due(NonZeroUsize::MIN, Duration::from_secs(1)).await?;
/// assert_eq!(due, [id]);
/// # Ok(())
/// # }
/// ```
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
#[auto_impl(&, Box, Arc)]
pub trait ReservationTimer: Send + Sync {
    /// Sets a timer for each reservation, to fire after that duration. It replaces an earlier timer
    /// of the reservation.
    ///
    /// # Errors
    /// [`InventoryError::Failed`] and similar errors. A sweep then finds the overdue reservations.
    async fn arm(&self, timers: &[(ReservationId, Duration)]) -> Result<(), InventoryError>;

    /// Removes the timers of these reservations, where there are any.
    ///
    /// # Errors
    /// As for [`arm`](ReservationTimer::arm). The timers then fire and have no effect.
    async fn disarm(&self, ids: &[ReservationId]) -> Result<(), InventoryError>;

    /// Waits until at least one timer is due, and returns at most `limit` due ones. Returns none
    /// after `wait`.
    ///
    /// A returned timer is removed: the caller acts on it or arms it again. Several callers share
    /// the due timers, as far as the implementation can. When the future is dropped, timers that it
    /// had taken may be lost; a sweep finds their reservations.
    ///
    /// # Errors
    /// [`InventoryError::Failed`] and similar errors.
    async fn due(
        &self,
        limit: NonZeroUsize,
        wait: Duration,
    ) -> Result<Vec<ReservationId>, InventoryError>;
}
