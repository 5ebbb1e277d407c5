//! Timers of reservations.

use std::num::NonZeroUsize;
use std::time::Duration;

use async_trait::async_trait;
use auto_impl::auto_impl;

use crate::error::InventoryError;
use crate::model::ReservationId;

/// Wakes the [expiry worker](crate::workers::ExpiryWorker) when the deadline of a reservation
/// comes.
///
/// A timer is a hint. It may come late, twice or never, and it survives a crash only where the
/// implementation says so. The store decides which reservations are overdue, and a sweep finds
/// those whose timer did not come.
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
    /// Sets a timer for each reservation, to come after that duration. It replaces the timer that
    /// the reservation had.
    ///
    /// # Errors
    /// [`InventoryError::Failed`] and the like. A sweep then finds what is overdue.
    async fn arm(&self, timers: &[(ReservationId, Duration)]) -> Result<(), InventoryError>;

    /// Removes the timers of these reservations, where there are any.
    ///
    /// # Errors
    /// As for [`arm`](ReservationTimer::arm). The timers then come and are without effect.
    async fn disarm(&self, ids: &[ReservationId]) -> Result<(), InventoryError>;

    /// Waits until at least one timer is due, and returns at most `limit` due ones. Returns none
    /// after `wait`.
    ///
    /// A returned timer is removed: the caller acts on it or arms it again. Several callers share
    /// the due timers, as far as the implementation can. What a dropped call had taken may be lost;
    /// a sweep finds it.
    ///
    /// # Errors
    /// [`InventoryError::Failed`] and the like.
    async fn due(
        &self,
        limit: NonZeroUsize,
        wait: Duration,
    ) -> Result<Vec<ReservationId>, InventoryError>;
}
