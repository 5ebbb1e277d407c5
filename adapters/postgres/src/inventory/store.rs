//! Implements the store.

use std::num::NonZeroUsize;

use async_trait::async_trait;
use stockade_inventory_core::{
    self as inventory, Adjusted, Adjustment, Cursor, Expiry, ExtendRequest, InventoryError,
    InventoryStore, MovementPage, Reservation, ReservationId, ReserveRequest, Reserved, Rest, Sku,
    TransitionRequest, Transitioned,
};

use crate::error::PostgresError;
use crate::inventory::calls::{Adjust, Expire, Reserve};
use crate::inventory::sweep::{Overdue, Sweep};
use crate::inventory::tables::Call;
use crate::inventory::{PostgresInventory, single};
use crate::session::Sessions;

/// The most requests of one transaction. A larger batch takes several transactions.
const BATCH: usize = 1_000;

type Outcomes<T> = Vec<Result<T, InventoryError>>;

#[async_trait]
impl<S: Sessions> InventoryStore for PostgresInventory<S> {
    async fn reserve(
        &self,
        requests: &[ReserveRequest],
    ) -> Result<Outcomes<Reserved>, InventoryError> {
        if let [request] = requests
            && let [line] = request.lines.as_slice()
            && let Some(pooled) = self.sessions.pooled()
            && let Some(outcome) = single::reserve(&self.tables, pooled, request, line).await?
        {
            return Ok(vec![outcome]);
        }
        self.in_batches(requests, Reserve).await
    }

    async fn transition(
        &self,
        request: &TransitionRequest,
    ) -> Result<Transitioned, InventoryError> {
        self.change(request).await?
    }

    async fn extend(&self, request: &ExtendRequest) -> Result<Transitioned, InventoryError> {
        self.change(request).await?
    }

    async fn expire(&self, ids: &[ReservationId]) -> Result<Outcomes<Expiry>, InventoryError> {
        self.in_batches(ids, Expire).await
    }

    async fn expire_overdue(
        &self,
        limit: NonZeroUsize,
    ) -> Result<inventory::Sweep, InventoryError> {
        Ok(self.sweep(limit).await?)
    }

    async fn adjust(
        &self,
        adjustments: &[Adjustment],
    ) -> Result<Outcomes<Adjusted>, InventoryError> {
        self.in_batches(adjustments, Adjust).await
    }

    async fn reservation(&self, id: &ReservationId) -> Result<Reservation, InventoryError> {
        let found = self.find(id).await?;
        found.ok_or_else(|| InventoryError::UnknownReservation { id: id.clone() })
    }

    async fn movements(
        &self,
        sku: &Sku,
        after: Option<&Cursor>,
        limit: NonZeroUsize,
    ) -> Result<MovementPage, InventoryError> {
        self.movement_page(sku, after, limit).await
    }
}

impl<S: Sessions> PostgresInventory<S> {
    /// Makes a call for at most [`BATCH`] items at a time, each in its own transaction.
    async fn in_batches<'a, I, C, T>(
        &self,
        items: &'a [I],
        call: impl Fn(&'a [I]) -> C + Send + Sync,
    ) -> Result<Outcomes<T>, InventoryError>
    where
        I: Sync,
        C: Call<Outcome = Outcomes<T>>,
        T: Send,
    {
        let mut outcomes = Vec::with_capacity(items.len());
        for batch in items.chunks(BATCH) {
            match self.change(&call(batch)).await {
                Ok(made) => outcomes.extend(made),
                Err(error) if batch.len() == items.len() => return Err(error.into()),
                Err(error) => outcomes.extend(batch.iter().map(|_| Err(error.clone().into()))),
            }
        }
        Ok(outcomes)
    }

    /// Makes a call in a transaction: loads, decides, writes and commits. Repeats it when another
    /// call has added the same row first.
    async fn change<C: Call>(&self, call: &C) -> Result<C::Outcome, PostgresError> {
        const ATTEMPTS: usize = 3;
        let tables = self.tables.as_ref();
        let changing = async {
            let mut attempt = 1;
            loop {
                let mut transaction = self.sessions.begin(C::OPERATION).await?;
                let connection = transaction.connection();
                let outcome = async {
                    let (mut book, found) = call.load(tables, connection).await?;
                    let outcome = call.decide(&mut book, found);
                    let changes = book.into_changes();
                    tables.write(C::OPERATION, changes, connection).await?;
                    Ok(outcome)
                };
                let outcome = outcome.await;
                match transaction.end(outcome).await {
                    Err(error) if error.is_lost() && attempt < ATTEMPTS => attempt += 1,
                    outcome => return outcome,
                }
            }
        };
        self.in_time(C::OPERATION, changing).await
    }

    /// Waits for the result of a call until the timeout. The host's transaction has no limit here.
    pub(super) async fn in_time<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = Result<T, PostgresError>>,
    ) -> Result<T, PostgresError> {
        match self.sessions.pooled() {
            None => call.await,
            Some(pooled) => pooled.in_time(operation, call).await,
        }
    }

    /// Expires at most `limit` reservations, and skips damaged ones, which are reported within the
    /// limit.
    async fn sweep(&self, limit: NonZeroUsize) -> Result<inventory::Sweep, PostgresError> {
        /// The most pages of damaged reservations that a sweep skips.
        const PAGES: usize = 100;
        let limit = limit.get();
        let (mut expired, mut damaged) = (Vec::new(), Vec::new());
        let mut after = Overdue::first();
        let mut rest = Rest::More;
        for _ in 0..PAGES {
            let left = limit - expired.len();
            let swept = self.change(&Sweep { limit: left, after }).await?;
            expired.extend(swept.expired);
            damaged.extend(swept.damaged);
            let Some(next) = swept.next else {
                rest = Rest::None;
                break;
            };
            if expired.len() == limit {
                break;
            }
            after = next;
        }
        let room = limit - expired.len();
        let damaged = damaged.into_iter().take(room).map(Err);
        let outcomes = expired.into_iter().map(Ok).chain(damaged).collect();
        Ok(inventory::Sweep::new(outcomes, rest))
    }
}
