//! What an embedding backend holds.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use metrics::{counter, histogram};
use stockade_change_feed::time::{Deadline, one_for_each};
use stockade_change_feed::{Clock, SystemClock, Timestamp};

use crate::error::InventoryError;
use crate::ids::{ReservationId, Sku};
use crate::reservation::{
    ActingFor, Adjusted, Adjustment, ExtendRequest, Reservation, ReservationState, ReserveRequest,
    Reserved, Transition, TransitionRequest, Transitioned,
};
use crate::stock::SkuStock;
use crate::store::{
    Cursor, InventoryStore, MovementPage, ReservationTimer, StockPage, StockSource,
};
use crate::telemetry;

/// Stock and reservations behind one API: a store, and optionally timers. Clones share them.
///
/// A call that fails in a way that may pass is repeated, with pauses, until it succeeds or the
/// timeout ends; every effect has an id and takes place once. An error whose
/// [`retry`](InventoryError::retry) says that the outcome is unknown is resolved by the same call
/// with the same id, and by nothing else. So it is for a call whose future was dropped.
///
/// Timers are hints: one that can not be set delays the expiry until the next sweep, and fails
/// nothing.
#[derive(Clone)]
pub struct Inventory {
    store: Arc<dyn InventoryStore>,
    timer: Option<Arc<dyn ReservationTimer>>,
    timeout: Duration,
    clock: Arc<dyn Clock>,
}

/// A grant is not kept waiting for its timer longer than this.
const TIMER_TIMEOUT: Duration = Duration::from_millis(100);

impl Inventory {
    /// An inventory without timers, with a timeout of 5 seconds.
    #[must_use]
    pub fn new(store: Arc<dyn InventoryStore>) -> Self {
        Self {
            store,
            timer: None,
            timeout: Duration::from_secs(5),
            clock: Arc::new(SystemClock::new()),
        }
    }

    /// Sets a timer for each reservation, for an [`ExpiryWorker`](crate::workers::ExpiryWorker)
    /// to act on.
    #[must_use]
    pub fn with_timer(mut self, timer: Arc<dyn ReservationTimer>) -> Self {
        self.timer = Some(timer);
        self
    }

    /// How long a call of the store takes at most, its repetitions included. Telling the timer
    /// takes up to 100 ms more.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Measures timeouts on this clock. Deadlines of reservations are the store's matter.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Reserves all lines of a request or none, and sets the timer.
    ///
    /// # Errors
    /// As for [`InventoryStore::reserve`], and where it can not be reached.
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

    /// Sets the timer of a reservation. [`reserve`](Self::reserve) does; a host that reserved
    /// through a store of its own, within its own transaction, calls this after its commit.
    pub async fn committed(&self, reserved: &Reserved) {
        self.set_timer(&reserved.reservation, reserved.remaining)
            .await;
    }

    /// Confirms a held reservation: its units are promised without a deadline.
    ///
    /// # Errors
    /// As for [`InventoryStore::transition`], and where it can not be reached.
    pub async fn confirm(
        &self,
        id: &ReservationId,
        acting_for: ActingFor,
    ) -> Result<Transitioned, InventoryError> {
        self.transition("confirm", id, Transition::Confirm, acting_for)
            .await
    }

    /// Gives up a held reservation. One that is confirmed is not touched.
    ///
    /// # Errors
    /// As for [`InventoryStore::transition`], and where it can not be reached.
    pub async fn release(
        &self,
        id: &ReservationId,
        acting_for: ActingFor,
    ) -> Result<Transitioned, InventoryError> {
        self.transition("release", id, Transition::Release, acting_for)
            .await
    }

    /// Gives up a confirmed reservation.
    ///
    /// # Errors
    /// As for [`InventoryStore::transition`], and where it can not be reached.
    pub async fn cancel(
        &self,
        id: &ReservationId,
        acting_for: ActingFor,
    ) -> Result<Transitioned, InventoryError> {
        self.transition("cancel", id, Transition::Cancel, acting_for)
            .await
    }

    /// Takes the units of a confirmed reservation out of stock.
    ///
    /// # Errors
    /// As for [`InventoryStore::transition`], and where it can not be reached.
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
        self.remove_timer(id).await;
        Ok(done)
    }

    /// Moves the deadline of a held reservation, never back, and sets its timer anew.
    ///
    /// # Errors
    /// As for [`InventoryStore::extend`], and where it can not be reached.
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

    /// Changes physical stock, each adjustment for itself, and returns an outcome for each.
    ///
    /// # Errors
    /// As for [`InventoryStore::adjust`], and where it can not be reached.
    #[tracing::instrument(level = "debug", skip_all, fields(adjustments = adjustments.len()))]
    pub async fn adjust(
        &self,
        adjustments: &[Adjustment],
    ) -> Result<Vec<Result<Adjusted, InventoryError>>, InventoryError> {
        let started = self.clock.monotonic();
        let call = |batch: Vec<Adjustment>| async move { self.store.adjust(&batch).await };
        let outcomes = self.deadline("adjust").repeat_each(adjustments, call).await;
        match &outcomes {
            Ok(outcomes) => outcomes
                .iter()
                .for_each(|outcome| self.count("adjust", started, outcome)),
            Err(_) => self.count("adjust", started, &outcomes),
        }
        outcomes
    }

    /// One reservation, in the state that it is in.
    ///
    /// # Errors
    /// As for [`InventoryStore::reservation`], and where it can not be reached.
    pub async fn reservation(&self, id: &ReservationId) -> Result<Reservation, InventoryError> {
        self.repeat("reservation", || self.store.reservation(id))
            .await
    }

    /// Some movements of a SKU, after `after`.
    ///
    /// # Errors
    /// As for [`InventoryStore::movements`], and where it can not be reached.
    pub async fn movements(
        &self,
        sku: &Sku,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<MovementPage, InventoryError> {
        self.repeat("movements", || self.store.movements(sku, after, limit))
            .await
    }

    /// The stock of each of `skus`, in their order; `None` for what is not known.
    ///
    /// # Errors
    /// As for [`StockSource::stock`], and where it can not be reached.
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

    /// Tells the timer, which may fail: a sweep finds what it misses.
    async fn hint(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<(), InventoryError>>,
    ) {
        let timeout = self.timeout.min(TIMER_TIMEOUT);
        let deadline = Deadline::after(self.clock.as_ref(), operation, timeout);
        if let Err(error) = deadline.bound(call).await {
            counter!(telemetry::TIMER_FAILURES, "operation" => operation).increment(1);
            tracing::warn!(%error, operation, "a reservation's timer could not be told");
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
        limit: usize,
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
