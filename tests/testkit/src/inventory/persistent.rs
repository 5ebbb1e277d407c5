//! A store whose calls are repeated when their errors allow it, like `Inventory`.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use stockade_change_feed::Retry;
use stockade_inventory_core::{
    Adjusted, Adjustment, Cursor, Expiry, ExtendRequest, InventoryError, InventoryStore,
    MovementPage, Reservation, ReservationId, ReserveRequest, Reserved, Sku, SkuStock, StockPage,
    StockSource, Sweep, TransitionRequest, Transitioned,
};

/// The most retries of a call. If the store is still busy then, the case fails.
const ATTEMPTS: u32 = 200;

/// Repeats a call that failed without effect because of other calls.
pub(super) struct Persistent(pub(super) Arc<dyn InventoryStore>);

/// The pause before the call is repeated. None if it may have taken effect: the cases on lost
/// replies test that.
fn again_after(error: &InventoryError) -> Option<Duration> {
    match error.retry() {
        Retry::After(wait) => Some(wait.min(Duration::from_millis(50))),
        Retry::RestartTransaction => Some(Duration::from_millis(1)),
        Retry::Never | Retry::OutcomeUnknown => None,
    }
}

async fn one<T, F>(call: impl Fn() -> F) -> Result<T, InventoryError>
where
    F: Future<Output = Result<T, InventoryError>>,
{
    let mut outcome = call().await;
    for _ in 0..ATTEMPTS {
        let Some(wait) = outcome.as_ref().err().and_then(again_after) else {
            break;
        };
        tokio::time::sleep(wait).await;
        outcome = call().await;
    }
    outcome
}

async fn each<I: Clone, T, F>(
    items: &[I],
    call: impl Fn(Vec<I>) -> F,
) -> Result<Vec<Result<T, InventoryError>>, InventoryError>
where
    F: Future<Output = Result<Vec<Result<T, InventoryError>>, InventoryError>>,
{
    let mut outcomes = one(|| call(items.to_vec())).await?;
    for _ in 0..ATTEMPTS {
        let failed = outcomes.iter().enumerate();
        let again: Vec<(usize, Duration)> = failed
            .filter_map(|(at, outcome)| Some((at, again_after(outcome.as_ref().err()?)?)))
            .collect();
        let Some(wait) = again.iter().map(|(_, wait)| *wait).max() else {
            break;
        };
        tokio::time::sleep(wait).await;
        let batch = again.iter().filter_map(|(at, _)| items.get(*at).cloned());
        let batch: Vec<I> = batch.collect();
        let repeated = one(|| call(batch.clone())).await?;
        for ((at, _), outcome) in again.into_iter().zip(repeated) {
            outcomes[at] = outcome;
        }
    }
    Ok(outcomes)
}

#[async_trait]
impl StockSource for Persistent {
    async fn stock(&self, skus: &[Sku]) -> Result<Vec<Option<SkuStock>>, InventoryError> {
        one(|| self.0.stock(skus)).await
    }

    async fn scan(
        &self,
        after: Option<&Cursor>,
        limit: NonZeroUsize,
    ) -> Result<StockPage, InventoryError> {
        one(|| self.0.scan(after, limit)).await
    }
}

#[async_trait]
impl InventoryStore for Persistent {
    async fn reserve(
        &self,
        requests: &[ReserveRequest],
    ) -> Result<Vec<Result<Reserved, InventoryError>>, InventoryError> {
        each(requests, async |batch: Vec<_>| self.0.reserve(&batch).await).await
    }

    async fn transition(
        &self,
        request: &TransitionRequest,
    ) -> Result<Transitioned, InventoryError> {
        one(|| self.0.transition(request)).await
    }

    async fn extend(&self, request: &ExtendRequest) -> Result<Transitioned, InventoryError> {
        one(|| self.0.extend(request)).await
    }

    async fn expire(
        &self,
        ids: &[ReservationId],
    ) -> Result<Vec<Result<Expiry, InventoryError>>, InventoryError> {
        each(ids, async |batch: Vec<_>| self.0.expire(&batch).await).await
    }

    async fn expire_overdue(&self, limit: NonZeroUsize) -> Result<Sweep, InventoryError> {
        one(|| self.0.expire_overdue(limit)).await
    }

    async fn adjust(
        &self,
        adjustments: &[Adjustment],
    ) -> Result<Vec<Result<Adjusted, InventoryError>>, InventoryError> {
        each(adjustments, async |batch: Vec<_>| {
            self.0.adjust(&batch).await
        })
        .await
    }

    async fn reservation(&self, id: &ReservationId) -> Result<Reservation, InventoryError> {
        one(|| self.0.reservation(id)).await
    }

    async fn movements(
        &self,
        sku: &Sku,
        after: Option<&Cursor>,
        limit: NonZeroUsize,
    ) -> Result<MovementPage, InventoryError> {
        one(|| self.0.movements(sku, after, limit)).await
    }
}
