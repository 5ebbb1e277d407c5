//! The timers in memory.

use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use stockade_change_feed::Clock;
use tokio::sync::Notify;

use crate::error::InventoryError;
use crate::model::ReservationId;
use crate::store::ReservationTimer;

/// Reservation timers in memory, on the monotonic clock. Clones share them. They end with the
/// process; a sweep then expires the reservations.
#[derive(Clone, Debug)]
pub struct MemoryTimer {
    clock: Arc<dyn Clock>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    timers: Mutex<Timers>,
    armed: Notify,
}

#[derive(Debug, Default)]
struct Timers {
    by_id: HashMap<ReservationId, Duration>,
    by_time: BTreeSet<(Duration, ReservationId)>,
}

impl MemoryTimer {
    /// Timers on this clock; none are set.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let shared = Arc::default();
        Self { clock, shared }
    }

    fn lock(&self) -> MutexGuard<'_, Timers> {
        let timers = self.shared.timers.lock();
        timers.expect("no panic while the lock is held")
    }
}

impl Timers {
    fn arm(&mut self, id: &ReservationId, at: Duration) {
        self.disarm(id);
        self.by_id.insert(id.clone(), at);
        self.by_time.insert((at, id.clone()));
    }

    fn disarm(&mut self, id: &ReservationId) {
        if let Some(at) = self.by_id.remove(id) {
            self.by_time.remove(&(at, id.clone()));
        }
    }

    fn next_at(&self) -> Option<Duration> {
        self.by_time.first().map(|(at, _)| *at)
    }

    fn take_due(&mut self, now: Duration, limit: usize) -> Vec<ReservationId> {
        let mut due = Vec::new();
        while due.len() < limit && self.next_at().is_some_and(|at| at <= now) {
            if let Some((_, id)) = self.by_time.pop_first() {
                self.by_id.remove(&id);
                due.push(id);
            }
        }
        due
    }
}

#[async_trait]
impl ReservationTimer for MemoryTimer {
    async fn arm(&self, timers: &[(ReservationId, Duration)]) -> Result<(), InventoryError> {
        let now = self.clock.monotonic();
        let mut armed = self.lock();
        for (id, after) in timers {
            armed.arm(id, now.saturating_add(*after));
        }
        drop(armed);
        // All waiting callers look again: the new timer may be the first one due.
        self.shared.armed.notify_waiters();
        Ok(())
    }

    async fn disarm(&self, ids: &[ReservationId]) -> Result<(), InventoryError> {
        let mut timers = self.lock();
        ids.iter().for_each(|id| timers.disarm(id));
        Ok(())
    }

    async fn due(
        &self,
        limit: NonZeroUsize,
        wait: Duration,
    ) -> Result<Vec<ReservationId>, InventoryError> {
        let give_up_at = self.clock.monotonic().saturating_add(wait);
        loop {
            let armed = self.shared.armed.notified();
            tokio::pin!(armed);
            // A timer that is armed after this line wakes this caller.
            armed.as_mut().enable();
            let now = self.clock.monotonic();
            let wake_at = {
                let mut timers = self.lock();
                let due = timers.take_due(now, limit.get());
                if !due.is_empty() || now >= give_up_at {
                    return Ok(due);
                }
                timers.next_at().map_or(give_up_at, |at| at.min(give_up_at))
            };
            tokio::select! {
                () = armed => {}
                () = self.clock.sleep(wake_at.saturating_sub(now)) => {}
            }
        }
    }
}
