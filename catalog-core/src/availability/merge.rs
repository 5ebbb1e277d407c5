//! Concurrent questions to inventory, put together into few calls.
//!
//! While all calls are in flight, whoever asks next joins one batch; it starts when a call comes
//! free. With a call free a question starts at once. A batch is driven by whoever waits for it:
//! when one caller leaves, another goes on, so nobody is stranded and nothing is spawned.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use stockade_change_feed::Failure;
use stockade_inventory_core::{InventoryError, Sku, SkuStock, StockChanged, StockSource};
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

/// The stock of each SKU that was asked for; `None` for what inventory does not know.
pub(crate) type Answers = HashMap<Sku, Option<StockChanged>>;
type Outcome = Result<Arc<Answers>, InventoryError>;

const OPERATION: &str = "asking inventory for stock";
/// How often a call is made anew because whoever drove it left.
const ATTEMPTS: u32 = 3;

/// How much is asked of inventory at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MergeLimits {
    /// Calls in flight.
    pub(crate) calls: usize,
    /// SKUs in one call.
    pub(crate) batch: usize,
    /// SKUs that wait for a call.
    pub(crate) waiting: usize,
    /// For one call, and for the wait until it begins.
    pub(crate) timeout: Duration,
}

pub(crate) struct MergedSource {
    source: Arc<dyn StockSource>,
    limits: MergeLimits,
    calls: Semaphore,
    waiting: Arc<Semaphore>,
    /// The batch that questions join.
    forming: Mutex<Option<Arc<Batch>>>,
}

struct Batch {
    created: Instant,
    collected: Mutex<Collected>,
    attempts: AtomicU32,
    outcome: OnceCell<Outcome>,
}

#[derive(Default)]
struct Collected {
    skus: BTreeSet<Sku>,
    /// The batch's share of what may wait; given back when it starts or is abandoned.
    places: Option<OwnedSemaphorePermit>,
}

impl MergedSource {
    pub(crate) fn new(source: Arc<dyn StockSource>, limits: MergeLimits) -> Self {
        let places = limits.waiting.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            source,
            limits,
            calls: Semaphore::new(limits.calls.clamp(1, Semaphore::MAX_PERMITS)),
            waiting: Arc::new(Semaphore::new(places)),
            forming: Mutex::default(),
        }
    }

    /// Asks for SKUs, each named once, and adds what is answered to `answers`. Takes at most
    /// twice the timeout for each full batch of them, and stops at the first that fails.
    pub(crate) async fn ask(
        &self,
        skus: &[Sku],
        answers: &mut Answers,
    ) -> Result<(), InventoryError> {
        for chunk in skus.chunks(self.limits.batch.max(1)) {
            let batch = self.join(chunk)?;
            let outcome = batch.outcome.get_or_init(|| self.drive(&batch)).await;
            let answered = outcome.as_ref().map_err(Clone::clone)?;
            for sku in chunk {
                if let Some(answer) = answered.get(sku) {
                    answers.insert(sku.clone(), answer.clone());
                }
            }
        }
        Ok(())
    }

    /// Enters the batch that is forming, or begins one.
    fn join(&self, skus: &[Sku]) -> Result<Arc<Batch>, InventoryError> {
        let mut forming = lock(&self.forming);
        if let Some(batch) = forming.as_ref().filter(|batch| self.takes(batch, skus)) {
            self.enter(batch, skus)?;
            return Ok(Arc::clone(batch));
        }
        // The old one belongs to its waiters, and to nobody once they have all left.
        *forming = None;
        let batch = Arc::new(Batch {
            created: Instant::now(),
            collected: Mutex::default(),
            attempts: AtomicU32::new(0),
            outcome: OnceCell::new(),
        });
        self.enter(&batch, skus)?;
        *forming = Some(Arc::clone(&batch));
        Ok(batch)
    }

    /// Whether there is room in a batch that has not waited for too long already.
    fn takes(&self, batch: &Batch, skus: &[Sku]) -> bool {
        let collected = lock(&batch.collected);
        let added = skus.iter().filter(|sku| !collected.skus.contains(*sku));
        collected.skus.len() + added.count() <= self.limits.batch
            && batch.created.elapsed() < self.limits.timeout
    }

    fn enter(&self, batch: &Batch, skus: &[Sku]) -> Result<(), InventoryError> {
        let mut collected = lock(&batch.collected);
        let added: Vec<&Sku> = skus
            .iter()
            .filter(|sku| !collected.skus.contains(*sku))
            .collect();
        let count = u32::try_from(added.len()).unwrap_or(u32::MAX);
        let Ok(places) = Arc::clone(&self.waiting).try_acquire_many_owned(count) else {
            return Err(InventoryError::Busy {
                retry_after: self.limits.timeout,
            });
        };
        match &mut collected.places {
            Some(held) => held.merge(places),
            none => *none = Some(places),
        }
        collected.skus.extend(added.into_iter().cloned());
        Ok(())
    }

    /// Waits for a free call and makes it. When this is dropped another waiter begins anew, under
    /// the same deadline.
    async fn drive(&self, batch: &Arc<Batch>) -> Outcome {
        let call = async {
            let _call = self.calls.acquire().await;
            let skus = self.start(batch);
            if batch.attempts.fetch_add(1, Ordering::Relaxed) >= ATTEMPTS {
                return Err(self.no_answer());
            }
            match timeout(self.limits.timeout, self.source.stock(&skus)).await {
                Ok(stock) => answers(skus, &stock?),
                Err(_) => Err(self.no_answer()),
            }
        };
        let left = (self.limits.timeout.saturating_mul(2)).saturating_sub(batch.created.elapsed());
        let outcome = timeout(left, call).await;
        // Also where no call came free: a decided batch takes no more questions.
        self.start(batch);
        outcome.unwrap_or_else(|_| Err(self.no_answer()))
    }

    /// Closes a batch to further questions, and returns those in it.
    fn start(&self, batch: &Arc<Batch>) -> Vec<Sku> {
        let mut forming = lock(&self.forming);
        if forming
            .as_ref()
            .is_some_and(|forming| Arc::ptr_eq(forming, batch))
        {
            *forming = None;
        }
        let mut collected = lock(&batch.collected);
        collected.places = None;
        collected.skus.iter().cloned().collect()
    }

    fn no_answer(&self) -> InventoryError {
        Failure::timed_out(OPERATION, self.limits.timeout).into()
    }
}

fn answers(skus: Vec<Sku>, stock: &[Option<SkuStock>]) -> Outcome {
    let answered = stock.len();
    if answered != skus.len() {
        let what = format!("{answered} answers to a question for {} SKUs", skus.len());
        return Err(InventoryError::Damaged { what });
    }
    let changed = stock
        .iter()
        .map(|stock| stock.as_ref().map(StockChanged::from));
    Ok(Arc::new(skus.into_iter().zip(changed).collect()))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics halfway through a change.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "merge_tests.rs"]
mod tests;
