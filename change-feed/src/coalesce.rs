//! Puts concurrent requests together into few calls.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::Hash;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use auto_impl::auto_impl;
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};

use crate::failure::Failing;
use crate::time::{Clock, Deadline, one_for_each};

/// How often a batch is called again after the caller that drove it left.
const ATTEMPTS: u32 = 3;

/// A call for many items at once, such as a read of many keys or a transaction for many requests.
///
/// The call may be made again with the same items, at most three times, when the callers that wait
/// for it leave one after the other. So its effect must take place once, however often it is made.
#[async_trait]
#[auto_impl(&, Box, Arc)]
pub trait BatchCall: Send + Sync {
    /// One requested item.
    type Item: Clone + Send + Sync;
    /// The result of one item.
    type Output: Clone + Send + Sync;
    /// The error of an item or of the whole call.
    type Error: Failing;
    /// Identifies items that are the same.
    type Key: Eq + Hash + Send;

    /// Items of a batch with the same key are requested once and share the outcome. `None` for an
    /// item that always has its own outcome.
    fn key(&self, item: &Self::Item) -> Option<Self::Key>;

    /// Requests all items and returns the outcome of each, in their order. The items are in the
    /// order in which they came.
    ///
    /// # Errors
    /// When the call failed as a whole, in the same way for each item.
    async fn call(
        &self,
        items: Vec<Self::Item>,
    ) -> Result<Vec<Result<Self::Output, Self::Error>>, Self::Error>;

    /// Returns the error for an item that could not wait, or waited in vain, because all calls are
    /// busy. Nothing took effect; the caller may try again after `retry_after`.
    fn busy(&self, retry_after: Duration) -> Self::Error;
}

/// Limits for calls, batches and waiting items.
#[derive(Clone, Copy, Debug)]
pub struct CoalesceLimits {
    /// Most calls in flight.
    pub calls: NonZeroUsize,
    /// Most items in one call.
    pub batch: NonZeroUsize,
    /// Most items that wait for a call, in all batches together; at least the size of one batch.
    pub waiting: NonZeroUsize,
    /// Longest time for one call, and longest wait until a call starts.
    pub timeout: Duration,
}

/// Puts concurrent requests together into few calls.
///
/// While all calls are in flight, the next requests join one batch; it starts when a call is free
/// again. When a call is free, a request starts at once.
///
/// A batch is driven by the callers that wait for it; no task is spawned. When the driving caller
/// leaves (drops its future), another waiting caller continues. An item whose callers all left
/// before the call starts is not requested.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), stockade_change_feed::FeedError> {
/// use std::num::NonZeroUsize;
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicUsize, Ordering};
/// use std::time::Duration;
///
/// use stockade_change_feed::coalesce::{BatchCall, CoalesceLimits, Coalescer};
/// use stockade_change_feed::{Failure, FeedError, SystemClock};
///
/// /// Doubles numbers, and counts the calls.
/// struct Doubling(AtomicUsize);
///
/// #[async_trait::async_trait]
/// impl BatchCall for Doubling {
///     type Item = u64;
///     type Output = u64;
///     type Error = FeedError;
///     type Key = u64;
///
///     fn key(&self, number: &u64) -> Option<u64> {
///         Some(*number)
///     }
///
///     async fn call(
///         &self,
///         numbers: Vec<u64>,
///     ) -> Result<Vec<Result<u64, FeedError>>, FeedError> {
///         self.0.fetch_add(1, Ordering::Relaxed);
///         tokio::task::yield_now().await;
///         Ok(numbers.into_iter().map(|number| Ok(2 * number)).collect())
///     }
///
///     fn busy(&self, retry_after: Duration) -> FeedError {
///         Failure::unavailable("double", retry_after, "too many numbers wait").into()
///     }
/// }
///
/// let limits = CoalesceLimits {
///     calls: NonZeroUsize::MIN,
///     batch: NonZeroUsize::new(100).unwrap(),
///     waiting: NonZeroUsize::new(1_000).unwrap(),
///     timeout: Duration::from_secs(1),
/// };
/// let clock = Arc::new(SystemClock::new());
/// let doubled = Coalescer::new("double", Doubling(AtomicUsize::new(0)), limits, clock);
/// let (one, two, three) =
///     tokio::join!(doubled.ask_one(1), doubled.ask_one(2), doubled.ask_one(3));
/// assert_eq!([one?, two?, three?], [2, 4, 6]);
/// // The first went at once; the others shared the next call.
/// assert_eq!(doubled.inner().0.load(Ordering::Relaxed), 2);
/// # Ok(())
/// # }
/// ```
pub struct Coalescer<C: BatchCall> {
    operation: &'static str,
    inner: C,
    limits: CoalesceLimits,
    clock: Arc<dyn Clock>,
    calls: Semaphore,
    /// Permits for items that wait.
    waiting: Arc<Semaphore>,
    /// The batch that new requests join.
    forming: Mutex<Option<Arc<Batch<C>>>>,
}

impl<C: BatchCall> fmt::Debug for Coalescer<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Coalescer")
            .field("operation", &self.operation)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

type Outcomes<C> = Vec<Option<Result<<C as BatchCall>::Output, <C as BatchCall>::Error>>>;

struct Batch<C: BatchCall> {
    /// When the batch was created, on the monotonic clock.
    created: Duration,
    seats: Mutex<Seats<C>>,
    /// One outcome for each seat; `None` for a seat that was left before the call.
    outcome: OnceCell<Result<Outcomes<C>, C::Error>>,
}

/// The items of a batch, in the order in which they came.
struct Seats<C: BatchCall> {
    seats: Vec<Seat<C::Item>>,
    by_key: HashMap<C::Key, usize>,
    /// How many seats are taken.
    taken: usize,
    /// Permits for the waiting items; given back when the call starts or a seat is left.
    places: Option<OwnedSemaphorePermit>,
    /// How often the call was made.
    attempts: u32,
}

struct Seat<I> {
    item: I,
    /// How many requests wait for the outcome.
    waiters: usize,
}

/// The seats of one request. They are left when the ticket is dropped.
struct Ticket<'a, C: BatchCall> {
    call: &'a C,
    batch: Arc<Batch<C>>,
    seats: Vec<usize>,
}

impl<C: BatchCall> Coalescer<C> {
    /// Puts requests together into calls of `inner`. Failures name the `operation`.
    #[must_use]
    pub fn new(
        operation: &'static str,
        inner: C,
        limits: CoalesceLimits,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let permits = |count: NonZeroUsize| count.get().min(Semaphore::MAX_PERMITS);
        Self {
            operation,
            inner,
            clock,
            calls: Semaphore::new(permits(limits.calls)),
            waiting: Arc::new(Semaphore::new(permits(limits.waiting.max(limits.batch)))),
            limits,
            forming: Mutex::new(None),
        }
    }

    /// The inner call.
    #[must_use]
    pub fn inner(&self) -> &C {
        &self.inner
    }

    /// Requests one item and returns its outcome. Takes at most twice the timeout.
    ///
    /// # Errors
    /// The errors of the item and of its call; [`BatchCall::busy`];
    /// [`Failure::timed_out`](crate::Failure::timed_out).
    pub async fn ask_one(&self, item: C::Item) -> Result<C::Output, C::Error> {
        let mut outcomes = self.ask_batch(std::slice::from_ref(&item)).await?;
        outcomes.pop().unwrap_or_else(|| Err(self.left_out()))
    }

    /// Requests items and returns the outcome of each, in their order.
    ///
    /// More items than fit one batch are requested in several batches, one after the other, each
    /// for at most twice the timeout. When a later batch fails as a whole, its items and those
    /// after it get its error.
    ///
    /// # Errors
    /// As [`ask_one`](Self::ask_one), when the first batch failed as a whole.
    pub async fn ask(
        &self,
        items: &[C::Item],
    ) -> Result<Vec<Result<C::Output, C::Error>>, C::Error> {
        let mut outcomes = Vec::with_capacity(items.len());
        for batch in items.chunks(self.limits.batch.get()) {
            match self.ask_batch(batch).await {
                Ok(answered) => outcomes.extend(answered),
                Err(error) if outcomes.is_empty() => return Err(error),
                Err(error) => {
                    outcomes.resize_with(items.len(), || Err(error.clone()));
                    break;
                }
            }
        }
        Ok(outcomes)
    }

    /// Requests items that fit one batch.
    async fn ask_batch(
        &self,
        items: &[C::Item],
    ) -> Result<Vec<Result<C::Output, C::Error>>, C::Error> {
        let ticket = self.join(items)?;
        let batch = &ticket.batch;
        let outcomes = batch.outcome.get_or_init(|| self.drive(batch)).await;
        let outcomes = outcomes.as_ref().map_err(Clone::clone)?;
        let outcome = |seat: &usize| outcomes.get(*seat).cloned().flatten();
        let outcomes = ticket.seats.iter().map(outcome);
        Ok(outcomes
            .map(|outcome| outcome.unwrap_or_else(|| Err(self.left_out())))
            .collect())
    }

    /// Takes seats in the batch that is forming, or in a new one.
    fn join(&self, items: &[C::Item]) -> Result<Ticket<'_, C>, C::Error> {
        let mut forming = lock(&self.forming);
        let now = self.clock.monotonic();
        let joined = forming
            .as_ref()
            .filter(|batch| self.takes(batch, items, now));
        let batch = joined.cloned().unwrap_or_else(|| {
            Arc::new(Batch {
                created: now,
                seats: Mutex::default(),
                outcome: OnceCell::new(),
            })
        });
        let seats = self.enter(&batch, items)?;
        // A batch that was replaced belongs to its waiters.
        *forming = Some(Arc::clone(&batch));
        let call = &self.inner;
        Ok(Ticket { call, batch, seats })
    }

    /// Whether the batch has room, has callers that wait for it, and is not too old.
    fn takes(&self, batch: &Batch<C>, items: &[C::Item], now: Duration) -> bool {
        let seats = lock(&batch.seats);
        seats.taken > 0
            && seats.taken + self.added(&seats, items) <= self.limits.batch.get()
            && now.saturating_sub(batch.created) < self.limits.timeout
    }

    /// How many new seats these items need, beyond those that they share.
    fn added(&self, seats: &Seats<C>, items: &[C::Item]) -> usize {
        let mut keys = HashSet::new();
        let adds = |item: &&C::Item| match self.inner.key(item) {
            Some(key) => !seats.by_key.contains_key(&key) && keys.insert(key),
            None => true,
        };
        items.iter().filter(adds).count()
    }

    fn enter(&self, batch: &Batch<C>, items: &[C::Item]) -> Result<Vec<usize>, C::Error> {
        let mut seats = lock(&batch.seats);
        let added = u32::try_from(self.added(&seats, items)).unwrap_or(u32::MAX);
        let Ok(places) = Arc::clone(&self.waiting).try_acquire_many_owned(added) else {
            return Err(self.inner.busy(self.limits.timeout));
        };
        match &mut seats.places {
            Some(held) => held.merge(places),
            none => *none = Some(places),
        }
        let seat = |item: &C::Item| seats.sit(item, self.inner.key(item));
        Ok(items.iter().map(seat).collect())
    }

    /// Waits for a free call and makes it. When this future is dropped, another waiter starts
    /// again, under the same deadline.
    async fn drive(&self, batch: &Arc<Batch<C>>) -> Result<Outcomes<C>, C::Error> {
        let waited = self.clock.monotonic().saturating_sub(batch.created);
        let left = self.limits.timeout.saturating_mul(2).saturating_sub(waited);
        let outcome = tokio::select! {
            biased;
            outcome = self.call(batch) => Some(outcome),
            () = self.clock.sleep(left) => None,
        };
        // Also where no call came free: a batch that is decided takes nobody.
        self.close(batch);
        outcome.unwrap_or_else(|| {
            Err(match lock(&batch.seats).attempts {
                0 => self.inner.busy(self.limits.timeout),
                _ => self.deadline().missed().into(),
            })
        })
    }

    async fn call(&self, batch: &Arc<Batch<C>>) -> Result<Outcomes<C>, C::Error> {
        let _call = self.calls.acquire().await;
        self.close(batch);
        let (seats, items) = {
            let mut seats = lock(&batch.seats);
            if seats.attempts >= ATTEMPTS {
                return Err(self.deadline().missed().into());
            }
            seats.attempts += 1;
            seats.places = None;
            seats.taken()
        };
        let asked = items.len();
        let answer = self.deadline().bound(self.inner.call(items)).await?;
        let answer = one_for_each(self.operation, asked, answer)?;
        let mut outcomes: Outcomes<C> = Vec::new();
        for (seat, outcome) in seats.into_iter().zip(answer) {
            outcomes.resize_with(seat, || None);
            outcomes.push(Some(outcome));
        }
        Ok(outcomes)
    }

    /// Closes a batch: no more requests join it.
    fn close(&self, batch: &Arc<Batch<C>>) {
        let mut forming = lock(&self.forming);
        let is_forming = |forming: &Arc<Batch<C>>| Arc::ptr_eq(forming, batch);
        if forming.as_ref().is_some_and(is_forming) {
            *forming = None;
        }
    }

    fn deadline(&self) -> Deadline<'_> {
        Deadline::after(self.clock.as_ref(), self.operation, self.limits.timeout)
    }

    /// The error for a seat without an outcome.
    fn left_out(&self) -> C::Error {
        self.deadline().missed().into()
    }
}

impl<C: BatchCall> Default for Seats<C> {
    fn default() -> Self {
        Self {
            seats: Vec::new(),
            by_key: HashMap::new(),
            taken: 0,
            places: None,
            attempts: 0,
        }
    }
}

impl<C: BatchCall> Seats<C> {
    /// The seat of an item: a new one, or one that it shares.
    fn sit(&mut self, item: &C::Item, key: Option<C::Key>) -> usize {
        let next = self.seats.len();
        let seat = match key {
            Some(key) => *self.by_key.entry(key).or_insert(next),
            None => next,
        };
        if seat == next {
            self.taken += 1;
            self.seats.push(Seat {
                item: item.clone(),
                waiters: 0,
            });
        }
        self.seats[seat].waiters += 1;
        seat
    }

    /// Leaves a seat. When no request waits for the seat any more and its call has not started, the
    /// seat is free.
    fn leave(&mut self, seat: usize, key: impl Fn(&C::Item) -> Option<C::Key>) {
        let left = &mut self.seats[seat];
        left.waiters -= 1;
        if left.waiters > 0 {
            return;
        }
        if let Some(key) = key(&left.item) {
            self.by_key.remove(&key);
        }
        self.taken -= 1;
        drop(self.places.as_mut().and_then(|places| places.split(1)));
    }

    /// The seats that requests wait for, and their items.
    fn taken(&self) -> (Vec<usize>, Vec<C::Item>) {
        let seats = self.seats.iter().enumerate();
        let taken = seats.filter(|(_, seat)| seat.waiters > 0);
        taken
            .map(|(index, seat)| (index, seat.item.clone()))
            .unzip()
    }
}

impl<C: BatchCall> Drop for Ticket<'_, C> {
    fn drop(&mut self) {
        let mut seats = lock(&self.batch.seats);
        for &seat in &self.seats {
            seats.leave(seat, |item| self.call.key(item));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics halfway through a change.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[path = "coalesce_tests.rs"]
mod tests;
