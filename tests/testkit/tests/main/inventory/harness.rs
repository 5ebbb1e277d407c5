//! Opens the store of the self-tests, with a flaw or without.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use stockade_change_feed::{ManualClock, SystemClock};
use stockade_inventory_core::{InventoryStore, ReservationId, Sku, StockOutbox, StockRetention};
use stockade_testkit::inventory::{
    DamageHarness, EpochHarness, InventoryHarness, OutboxHarness, SharedHarness,
    StockRetentionHarness,
};
use stockade_testkit::{Absent, Crash, Harness, Reopen};
use tempfile::TempDir;

use super::rows::Rows;
use super::store::{Flaw, FlawedStore, MARGIN};
use crate::harnesses::clock;

/// The store, on a clock that is moved by hand.
pub(super) struct Built {
    clock: Arc<ManualClock>,
    store: Arc<FlawedStore>,
    margin: Duration,
}

impl Built {
    pub(super) fn with(flaw: Flaw) -> Self {
        Self::over(clock(), flaw, Rows::default())
    }

    fn over(clock: Arc<ManualClock>, flaw: Flaw, rows: Rows) -> Self {
        let mut store = FlawedStore::new(clock.clone(), flaw, rows);
        match flaw {
            Flaw::StaysBehind => store.margin = MARGIN,
            Flaw::ClocksDiffer => store.behind = MARGIN,
            _ => {}
        }
        Self {
            clock,
            store: Arc::new(store),
            margin: Duration::ZERO,
        }
    }
}

#[async_trait]
impl Harness for Built {
    const BACKEND: &'static str = "memory";

    async fn open() -> Result<Self, Absent> {
        Ok(Self::with(Flaw::None))
    }

    async fn pass_time(&self, by: Duration) {
        self.clock.advance(by);
    }
}

impl InventoryHarness for Built {
    fn store(&self) -> Arc<dyn InventoryStore> {
        self.store.clone()
    }
}

impl OutboxHarness for Built {
    fn outbox(&self) -> Arc<dyn StockOutbox> {
        self.store.clone()
    }

    fn clock_margin(&self) -> Duration {
        self.margin
    }
}

impl StockRetentionHarness for Built {
    const EXACT_TIME: bool = true;

    fn retention(&self) -> Arc<dyn StockRetention> {
        self.store.clone()
    }
}

#[async_trait]
impl EpochHarness for Built {
    async fn raise_epoch(&self) {
        self.store.raise_epoch();
        if self.store.flaw == Flaw::RaisesInTwoSteps {
            tokio::time::sleep(Duration::from_millis(20)).await;
            self.store.publish_again();
        }
    }
}

#[async_trait]
impl DamageHarness for Built {
    async fn damage(&self, reservation: &ReservationId) {
        self.store.rows().damaged.insert(reservation.clone());
    }

    async fn damage_levels(&self, sku: &Sku) {
        self.store.rows().damaged_levels.insert(sku.clone());
    }
}

#[async_trait]
impl SharedHarness for Built {
    async fn second_store(&self) -> Arc<dyn InventoryStore> {
        Arc::new(self.store.second())
    }
}

/// Closes the store by writing its rows down, and opens a new one over them.
#[async_trait]
impl Reopen for Built {
    async fn reopen(self) -> Self {
        let json = serde_json::to_vec(&*self.store.rows()).unwrap();
        let mut rows: Rows = serde_json::from_slice(&json).unwrap();
        match self.store.flaw {
            Flaw::KeepsNothing => rows = Rows::default(),
            Flaw::EmptiesTheOutbox => rows.unpublished.clear(),
            Flaw::ForgetsTheEpoch => rows.epoch = 0,
            Flaw::NumbersByCount => rows.counted = Some(rows.movements.len() as u64),
            _ => {}
        }
        Self::over(self.clock, self.store.flaw, rows)
    }
}

/// Gives a harness another way to open its store.
macro_rules! opened {
    ($(#[$doc:meta])* $name:ident, $open:expr; $($trait:ident { $($method:tt)* })*) => {
        $(#[$doc])*
        pub(super) struct $name(Built);

        #[async_trait]
        impl Harness for $name {
            const BACKEND: &'static str = "memory";

            async fn open() -> Result<Self, Absent> {
                Ok(Self($open))
            }

            async fn pass_time(&self, by: Duration) {
                self.0.pass_time(by).await;
            }
        }

        impl InventoryHarness for $name {
            fn store(&self) -> Arc<dyn InventoryStore> {
                self.0.store()
            }
        }

        $(#[async_trait] impl $trait for $name { $($method)* })*
    };
}

opened! {
    /// Does two things in a call, and says truly whether there is more.
    InSmallSteps, Built::with(Flaw::SmallSteps);
    StockRetentionHarness {
        const EXACT_TIME: bool = true;

        fn retention(&self) -> Arc<dyn StockRetention> {
            self.0.retention()
        }
    }
    DamageHarness {
        async fn damage(&self, reservation: &ReservationId) {
            self.0.damage(reservation).await;
        }

        async fn damage_levels(&self, sku: &Sku) {
            self.0.damage_levels(sku).await;
        }
    }
}

opened! {
    /// Stamps changes by a clock that is behind, and subtracts as much from `complete_as_of`.
    WithMargin, {
        let clock = clock();
        let mut store = FlawedStore::new(clock.clone(), Flaw::None, Rows::default());
        store.behind = MARGIN;
        store.margin = MARGIN;
        Built { clock, store: Arc::new(store), margin: MARGIN }
    };
    OutboxHarness {
        fn outbox(&self) -> Arc<dyn StockOutbox> {
            self.0.outbox()
        }

        fn clock_margin(&self) -> Duration {
            self.0.margin
        }
    }
}

/// A store in a file, whose process is killed. `FLAW` is a [`Flaw`].
pub(super) struct Killed<const FLAW: usize>(Arc<FlawedStore>);

/// What can be wrong with a store whose process is killed.
const KILLED: [Flaw; 3] = [
    Flaw::None,
    Flaw::AnswersBeforeItWrites,
    Flaw::MarksInASecondTransaction,
];

#[async_trait]
impl<const FLAW: usize> Harness for Killed<FLAW> {
    const BACKEND: &'static str = "file";

    async fn open() -> Result<Self, Absent> {
        let folder = tempfile::tempdir().unwrap();
        Ok(Self::open_at(folder.path().to_str().unwrap()).await)
    }
}

impl<const FLAW: usize> InventoryHarness for Killed<FLAW> {
    fn store(&self) -> Arc<dyn InventoryStore> {
        self.0.clone()
    }
}

impl<const FLAW: usize> OutboxHarness for Killed<FLAW> {
    fn outbox(&self) -> Arc<dyn StockOutbox> {
        self.0.clone()
    }
}

#[async_trait]
impl<const FLAW: usize> Crash for Killed<FLAW> {
    type Data = TempDir;

    async fn create() -> Result<TempDir, Absent> {
        Ok(tempfile::tempdir().unwrap())
    }

    fn address(data: &TempDir) -> String {
        data.path().to_str().unwrap().to_owned()
    }

    async fn open_at(address: &str) -> Self {
        let file = Path::new(address).join("rows.json");
        let clock = Arc::new(SystemClock::new());
        Self(Arc::new(FlawedStore::in_file(clock, KILLED[FLAW], file)))
    }
}
