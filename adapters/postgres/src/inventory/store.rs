//! The store.

use async_trait::async_trait;
use stockade_inventory_core::{
    Adjusted, Adjustment, Cursor, Expiry, ExtendRequest, InventoryError, InventoryStore,
    MovementPage, Reservation, ReservationId, ReserveRequest, Reserved, Sku, TransitionRequest,
    Transitioned,
};

use crate::error::PostgresError;
use crate::inventory::calls::{Adjust, Expire, Reserve};
use crate::inventory::ledger::Call;
use crate::inventory::place::Place;
use crate::inventory::sweep::{self, Sweep};
use crate::inventory::{PostgresInventory, single};

/// The most requests of one transaction; a larger batch is several.
const BATCH: usize = 1_000;

type Outcomes<T> = Vec<Result<T, InventoryError>>;

#[async_trait]
impl<P: Place> InventoryStore for PostgresInventory<P> {
    async fn reserve(
        &self,
        requests: &[ReserveRequest],
    ) -> Result<Outcomes<Reserved>, InventoryError> {
        match requests {
            [request] => Ok(vec![self.reserve_one(request).await]),
            requests => self.in_batches("reserve", requests, Reserve).await,
        }
    }

    async fn transition(
        &self,
        request: &TransitionRequest,
    ) -> Result<Transitioned, InventoryError> {
        self.in_time("transition", self.change(request)).await?
    }

    async fn extend(&self, request: &ExtendRequest) -> Result<Transitioned, InventoryError> {
        self.in_time("extend", self.change(request)).await?
    }

    async fn expire(&self, ids: &[ReservationId]) -> Result<Outcomes<Expiry>, InventoryError> {
        self.in_batches("expire", ids, Expire).await
    }

    async fn expire_overdue(&self, limit: usize) -> Result<Outcomes<Reservation>, InventoryError> {
        at_least_one(limit)?;
        Ok(self.in_time(Sweep::OPERATION, self.sweep(limit)).await?)
    }

    async fn adjust(
        &self,
        adjustments: &[Adjustment],
    ) -> Result<Outcomes<Adjusted>, InventoryError> {
        self.in_batches("adjust", adjustments, Adjust).await
    }

    async fn reservation(&self, id: &ReservationId) -> Result<Reservation, InventoryError> {
        let found = self.in_time("reservation", self.find(id)).await?;
        found.ok_or_else(|| InventoryError::UnknownReservation { id: id.clone() })
    }

    async fn movements(
        &self,
        sku: &Sku,
        after: Option<&Cursor>,
        limit: usize,
    ) -> Result<MovementPage, InventoryError> {
        self.movement_page(sku, after, limit).await
    }
}

impl<P: Place> PostgresInventory<P> {
    /// Makes a call for at most [`BATCH`] items at a time, each in a transaction of its own.
    async fn in_batches<'a, I, C, T>(
        &self,
        operation: &'static str,
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
            let call = call(batch);
            let made = self.in_time(operation, self.change(&call)).await;
            match made {
                Ok(made) => outcomes.extend(made),
                Err(error) if batch.len() == items.len() => return Err(error.into()),
                Err(error) => outcomes.extend(batch.iter().map(|_| Err(error.clone().into()))),
            }
        }
        Ok(outcomes)
    }

    async fn reserve_one(&self, request: &ReserveRequest) -> Result<Reserved, InventoryError> {
        let call = async {
            match self.reserve_at_once(request).await? {
                Some(outcome) => Ok(outcome),
                None => {
                    let outcomes = self.change(&Reserve(std::slice::from_ref(request))).await?;
                    Ok(only(outcomes))
                }
            }
        };
        self.in_time("reserve", call).await?
    }

    /// The outcome, where it takes no transaction of several statements.
    async fn reserve_at_once(
        &self,
        request: &ReserveRequest,
    ) -> Result<Option<Result<Reserved, InventoryError>>, PostgresError> {
        let (Some(sessions), [line]) = (self.place.sessions(), request.lines.as_slice()) else {
            return Ok(None);
        };
        let lock_timeout = sessions.timeouts.lock;
        let mut connection = self.place.connection("reserve").await?;
        let granted = single::grant(&self.ledger, request, line, lock_timeout, &mut connection);
        let granted = granted.await;
        if let Some(granted) = connection.told(granted)? {
            return Ok(Some(Ok(granted)));
        }
        single::look(&self.ledger, request, line, &mut connection).await
    }

    /// Expires at most `limit`. What is damaged is told where there is room, and passed over.
    async fn sweep(&self, limit: usize) -> Result<Outcomes<Reservation>, PostgresError> {
        /// So many pages of nothing but damage are passed over at most.
        const PAGES: usize = 100;
        let (mut expired, mut damaged) = (Vec::new(), Vec::new());
        let mut after = sweep::Place::first();
        for _ in 0..PAGES {
            let left = limit - expired.len();
            let swept = self.change(&Sweep { limit: left, after }).await?;
            expired.extend(swept.expired);
            damaged.extend(swept.damaged);
            match swept.next {
                Some(next) if expired.len() < limit => after = next,
                _ => break,
            }
        }
        let room = limit - expired.len();
        let damaged = damaged.into_iter().take(room).map(Err);
        Ok(expired.into_iter().map(Ok).chain(damaged).collect())
    }
}

fn only<T>(outcomes: Outcomes<T>) -> Result<T, InventoryError> {
    let mut outcomes = outcomes.into_iter();
    outcomes.next().expect("an outcome for each request")
}

pub(crate) fn at_least_one(limit: usize) -> Result<(), InventoryError> {
    if limit == 0 {
        let reason = "it has to be at least 1";
        return Err(InventoryError::invalid("limit", "0", reason));
    }
    Ok(())
}
