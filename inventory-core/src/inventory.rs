//! The entry point of a backend.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use metrics::{counter, histogram};
use stockade_change_feed::time::{Deadline, one_for_each};
use stockade_change_feed::{Clock, SystemClock, Timestamp};

use crate::error::InventoryError;
use crate::model::{
    ActingFor, Adjusted, Adjustment, ExtendRequest, Reservation, ReservationId, ReservationState,
    ReserveRequest, Reserved, Sku, SkuStock, Transition, TransitionRequest, Transitioned,
};
use crate::store::{
    Cursor, InventoryStore, MovementPage, ReservationTimer, StockPage, StockSource,
};
use crate::telemetry;
use crate::workers::Wake;

/// Stock and reservations: the type that a backend holds and calls. Clones share one store.
///
/// It adds three things to an [`InventoryStore`]:
///
/// - **Deadlines.** A call ends within the timeout, 5 seconds by default.
/// - **Retries.** A call with a temporary error is repeated, with growing pauses, until it succeeds
///   or the timeout ends. This is safe because every effect has an id and takes place once.
/// - **Timers**, if the host has them. When a timer can not be set, the call still succeeds; the
///   next sweep expires the reservation, a little later.
///
/// When [`retry`](InventoryError::retry) is
/// [`OutcomeUnknown`](stockade_change_feed::Retry::OutcomeUnknown), or the future of a call was
/// dropped, the call may have taken effect. Repeat the same call with the same id to find out.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), stockade_inventory_core::InventoryError> {
/// use std::sync::Arc;
/// use stockade_change_feed::SystemClock;
/// use stockade_inventory_core::memory::{MemoryInventory, MemoryTimer};
/// use stockade_inventory_core::*;
///
/// let clock = Arc::new(SystemClock::new());
/// let store = Arc::new(MemoryInventory::new(clock.clone()));
/// let inventory = Inventory::new(store).with_timer(Arc::new(MemoryTimer::new(clock)));
///
/// let tee = Sku::new("tee-m")?;
/// let set = StockChange::Set(5);
/// let count = Adjustment::new(OperationId::new("count-1")?, tee.clone(), set, Reason::new("count")?);
/// for outcome in inventory.adjust(&[count]).await? {
///     outcome?;
/// }
///
/// let ada = OwnerId::new("ada")?;
/// let request = ReserveRequest::repeatable(ada, "cart-1", [Line::new(tee, Quantity::new(2)?)])?;
/// let first = inventory.reserve(request.clone()).await?;
/// // Sent again, for example because the reply was lost, it finds the same reservation.
/// let again = inventory.reserve(request).await?;
/// assert_eq!(again.effect, Effect::Repeated);
/// assert_eq!(again.reservation, first.reservation);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Inventory {
    store: Arc<dyn InventoryStore>,
    timer: Option<Arc<dyn ReservationTimer>>,
    wake: Option<Wake>,
    timeout: Duration,
    clock: Arc<dyn Clock>,
}

/// A grant waits at most this long for its timer to be set.
const TIMER_TIMEOUT: Duration = Duration::from_millis(100);

impl Inventory {
    /// An inventory without timers, with a timeout of 5 seconds.
    #[must_use]
    pub fn new(store: Arc<dyn InventoryStore>) -> Self {
        Self {
            store,
            timer: None,
            wake: None,
            timeout: Duration::from_secs(5),
            clock: Arc::new(SystemClock::new()),
        }
    }

    /// Sets a timer for each reservation. An [`ExpiryWorker`](crate::workers::ExpiryWorker) with
    /// the same timer acts on it.
    #[must_use]
    pub fn with_timer(mut self, timer: Arc<dyn ReservationTimer>) -> Self {
        self.timer = Some(timer);
        self
    }

    /// Wakes a relay in this process after each call that changed stock.
    #[must_use]
    pub fn with_wake(mut self, wake: Wake) -> Self {
        self.wake = Some(wake);
        self
    }

    /// Sets the timeout of a call, retries included. Setting a reservation's timer takes at most
    /// 100 ms more.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the clock for timeouts. For the deadlines of reservations the store uses its own clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Reserves all lines of a request, or none, and sets the timer.
    ///
    /// # Errors
    /// As for [`InventoryStore::reserve`], and when the store does not answer in time.
    #[tracing::instrument(level = "debug", skip_all, fields(reservation = %request.id))]
    pub async fn reserve(&self, request: ReserveRequest) -> Result<Reserved, InventoryError> {
        let reserve = || async {
            let outcomes = self.store.reserve(std::slice::from_ref(&request)).await?;
            one_for_each("reserve", 1, outcomes)?.remove(0)
        };
        let reserved = self.repeat("reserve", reserve).await?;
        self.committed(&reserved).await;
        Ok(reserved)
    }

    /// Sets the timer of a reservation, and wakes the relay. [`reserve`](Self::reserve) does this
    /// itself. A host that reserved within its own transaction calls this after its commit.
    pub async fn committed(&self, reserved: &Reserved) {
        self.changed();
        self.set_timer(&reserved.reservation, reserved.remaining)
            .await;
    }

    /// Confirms a held reservation: its units are promised without a deadline from now on.
    ///
    /// # Errors
    /// As for [`InventoryStore::transition`], and when the store does not answer in time.
    pub async fn confirm(
        &self,
        id: &ReservationId,
        acting_for: ActingFor,
    ) -> Result<Transitioned, InventoryError> {
        self.transition("confirm", id, Transition::Confirm, acting_for)
            .await
    }

    /// Releases a held reservation: its units come back. A confirmed reservation is refused.
    ///
    /// # Errors
    /// As for [`InventoryStore::transition`], and when the store does not answer in time.
    pub async fn release(
        &self,
        id: &ReservationId,
        acting_for: ActingFor,
    ) -> Result<Transitioned, InventoryError> {
        self.transition("release", id, Transition::Release, acting_for)
            .await
    }

    /// Cancels a confirmed reservation: its units come back.
    ///
    /// # Errors
    /// As for [`InventoryStore::transition`], and when the store does not answer in time.
    pub async fn cancel(
        &self,
        id: &ReservationId,
        acting_for: ActingFor,
    ) -> Result<Transitioned, InventoryError> {
        self.transition("cancel", id, Transition::Cancel, acting_for)
            .await
    }

    /// Fulfils a confirmed reservation: its units leave the stock.
    ///
    /// # Errors
    /// As for [`InventoryStore::transition`], and when the store does not answer in time.
    pub async fn fulfil(
        &self,
        id: &ReservationId,
        acting_for: ActingFor,
    ) -> Result<Transitioned, InventoryError> {
        self.transition("fulfil", id, Transition::Fulfil, acting_for)
            .await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(reservation = %id, operation))]
    async fn transition(
        &self,
        operation: &'static str,
        id: &ReservationId,
        transition: Transition,
        acting_for: ActingFor,
    ) -> Result<Transitioned, InventoryError> {
        let request = TransitionRequest {
            id: id.clone(),
            transition,
            acting_for,
        };
        let done = self
            .repeat(operation, || self.store.transition(&request))
            .await?;
        self.changed();
        self.remove_timer(id).await;
        Ok(done)
    }

    /// Moves the deadline of a held reservation to a later time, and sets its timer again.
    ///
    /// # Errors
    /// As for [`InventoryStore::extend`], and when the store does not answer in time.
    #[tracing::instrument(level = "debug", skip_all, fields(reservation = %id))]
    pub async fn extend(
        &self,
        id: &ReservationId,
        until: Timestamp,
        acting_for: ActingFor,
    ) -> Result<Transitioned, InventoryError> {
        let request = ExtendRequest {
            id: id.clone(),
            until,
            acting_for,
        };
        let done = self
            .repeat("extend", || self.store.extend(&request))
            .await?;
        self.set_timer(&done.reservation, done.remaining).await;
        Ok(done)
    }

    /// Changes physical stock, each adjustment on its own, and returns an outcome for each, in
    /// their order.
    ///
    /// # Errors
    /// As for [`InventoryStore::adjust`], and when the store does not answer in time.
    #[tracing::instrument(level = "debug", skip_all, fields(adjustments = adjustments.len()))]
    pub async fn adjust(
        &self,
        adjustments: &[Adjustment],
    ) -> Result<Vec<Result<Adjusted, InventoryError>>, InventoryError> {
        let started = self.clock.monotonic();
        let call = |batch: Vec<Adjustment>| async move { self.store.adjust(&batch).await };
        let outcomes = self.deadline("adjust").repeat_each(adjustments, call).await;
        match &outcomes {
            Ok(outcomes) => {
                outcomes
                    .iter()
                    .for_each(|outcome| self.count("adjust", started, outcome));
                if outcomes.iter().any(Result::is_ok) {
                    self.changed();
                }
            }
            Err(_) => self.count("adjust", started, &outcomes),
        }
        outcomes
    }

    /// A reservation in its present state.
    ///
    /// # Errors
    /// As for [`InventoryStore::reservation`], and when the store does not answer in time.
    pub async fn reservation(&self, id: &ReservationId) -> Result<Reservation, InventoryError> {
        self.repeat("reservation", || self.store.reservation(id))
            .await
    }

    /// At most `limit` movements of a SKU after `after`.
    ///
    /// # Errors
    /// As for [`InventoryStore::movements`], and when the store does not answer in time.
    pub async fn movements(
        &self,
        sku: &Sku,
        after: Option<&Cursor>,
        limit: NonZeroUsize,
    ) -> Result<MovementPage, InventoryError> {
        self.repeat("movements", || self.store.movements(sku, after, limit))
            .await
    }

    /// The stock of each of `skus`, in their order, and `None` for each unknown one.
    ///
    /// # Errors
    /// As for [`StockSource::stock`], and when the store does not answer in time.
    pub async fn stock(&self, skus: &[Sku]) -> Result<Vec<Option<SkuStock>>, InventoryError> {
        self.repeat("stock", || self.store.stock(skus)).await
    }
}

impl Inventory {
    fn deadline(&self, operation: &'static str) -> Deadline<'_> {
        Deadline::after(self.clock.as_ref(), operation, self.timeout)
    }

    async fn repeat<T, F>(
        &self,
        operation: &'static str,
        call: impl Fn() -> F,
    ) -> Result<T, InventoryError>
    where
        F: Future<Output = Result<T, InventoryError>>,
    {
        let started = self.clock.monotonic();
        let outcome = self.deadline(operation).repeat(call).await;
        self.count(operation, started, &outcome);
        outcome
    }

    fn count<T>(
        &self,
        operation: &'static str,
        started: Duration,
        outcome: &Result<T, InventoryError>,
    ) {
        let outcome = telemetry::outcome(outcome);
        let took = self.clock.monotonic().saturating_sub(started);
        counter!(telemetry::OPERATIONS, "operation" => operation, "outcome" => outcome)
            .increment(1);
        histogram!(telemetry::OPERATION_SECONDS, "operation" => operation).record(took);
    }

    /// What a call that failed has changed all the same, the relay finds at its next look.
    fn changed(&self) {
        if let Some(wake) = &self.wake {
            wake.wake();
        }
    }

    async fn set_timer(&self, reservation: &Reservation, remaining: Duration) {
        if let Some(timer) = &self.timer
            && reservation.state == ReservationState::Held
        {
            let timers = [(reservation.id.clone(), remaining)];
            self.hint("arm", timer.arm(&timers)).await;
        }
    }

    async fn remove_timer(&self, id: &ReservationId) {
        if let Some(timer) = &self.timer {
            let ids = [id.clone()];
            self.hint("disarm", timer.disarm(&ids)).await;
        }
    }

    /// Calls the timer. A failure is only logged: a sweep finds the reservation.
    async fn hint(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<(), InventoryError>>,
    ) {
        let timeout = self.timeout.min(TIMER_TIMEOUT);
        let deadline = Deadline::after(self.clock.as_ref(), operation, timeout);
        if let Err(error) = deadline.bound(call).await {
            counter!(telemetry::TIMER_FAILURES, "operation" => operation).increment(1);
            tracing::warn!(%error, operation, "the timer of a reservation could not be set or removed; a sweep will expire it");
        }
    }
}

#[async_trait]
impl StockSource for Inventory {
    async fn stock(&self, skus: &[Sku]) -> Result<Vec<Option<SkuStock>>, InventoryError> {
        self.stock(skus).await
    }

    async fn scan(
        &self,
        after: Option<&Cursor>,
        limit: NonZeroUsize,
    ) -> Result<StockPage, InventoryError> {
        self.repeat("scan", || self.store.scan(after, limit)).await
    }
}

impl fmt::Debug for Inventory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inventory")
            .field("timeout", &self.timeout)
            .field("clock", &self.clock)
            .finish_non_exhaustive()
    }
}
