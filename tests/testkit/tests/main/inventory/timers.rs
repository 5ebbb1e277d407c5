//! Timers in front of those in memory, which break a rule.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use stockade_inventory_core::memory::MemoryTimer;
use stockade_inventory_core::{InventoryError, ReservationId, ReservationTimer};
use stockade_testkit::inventory::{TimerHarness, timer_cases};
use stockade_testkit::{Absent, Harness};

use crate::fails::assert_fails;
use crate::harnesses::Memory;

/// Keeps the first timer when one is armed again.
struct KeepsTheFirst {
    timer: MemoryTimer,
    armed: Mutex<HashSet<ReservationId>>,
}

#[async_trait]
impl ReservationTimer for KeepsTheFirst {
    async fn arm(&self, timers: &[(ReservationId, Duration)]) -> Result<(), InventoryError> {
        let mut new = timers.to_vec();
        new.retain(|(id, _)| self.armed.lock().unwrap().insert(id.clone()));
        self.timer.arm(&new).await
    }

    async fn disarm(&self, ids: &[ReservationId]) -> Result<(), InventoryError> {
        self.armed.lock().unwrap().retain(|id| !ids.contains(id));
        self.timer.disarm(ids).await
    }

    async fn due(
        &self,
        limit: NonZeroUsize,
        wait: Duration,
    ) -> Result<Vec<ReservationId>, InventoryError> {
        let due = self.timer.due(limit, wait).await?;
        self.armed.lock().unwrap().retain(|id| !due.contains(id));
        Ok(due)
    }
}

struct Flawed(Memory, Arc<KeepsTheFirst>);

#[async_trait]
impl Harness for Flawed {
    const BACKEND: &'static str = "memory";

    async fn open() -> Result<Self, Absent> {
        let memory = Memory::open().await?;
        let timer = KeepsTheFirst {
            timer: memory.timer.clone(),
            armed: Mutex::default(),
        };
        Ok(Self(memory, Arc::new(timer)))
    }

    async fn pass_time(&self, by: Duration) {
        self.0.pass_time(by).await;
    }
}

impl TimerHarness for Flawed {
    fn timer(&self) -> Arc<dyn ReservationTimer> {
        self.1.clone()
    }
}

#[test]
fn keeps_the_first_timer() {
    assert_fails(
        &timer_cases::<Flawed>(),
        &["arming_again_replaces_the_timer"],
        "put-off",
    );
}
