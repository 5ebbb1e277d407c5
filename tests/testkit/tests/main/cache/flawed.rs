//! A cache that can be told to break one rule, and the cases that tell.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use stockade_catalog_core::{
    AvailabilityCache, CacheEntry, CacheRead, CacheWrite, CatalogError, Coverage, PartitionMark,
};
use stockade_change_feed::{Clock, ManualClock, Timestamp};
use stockade_inventory_core::{Sku, StockChanged, Version};
use stockade_testkit::cache::{CacheHarness, cache_cases};
use stockade_testkit::{Absent, Harness};

use crate::flaws::assert_fails;

/// The rule that a cache breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    /// It keeps all of them.
    None,
    /// Takes what comes last for the newest.
    AcceptsAnOlderVersion,
    /// Compares the numbers, and not the epochs.
    LetsAnOlderEpochWin,
    /// Reads, and writes later.
    ComparesBeforeItWrites,
    /// Gives what is known the time of the absence that it replaces.
    ForgetsWithTheAbsence,
    /// Takes the last mark for the newest.
    MarksGoBackwards,
}

const FLAWS: [Flaw; 6] = [
    Flaw::None,
    Flaw::AcceptsAnOlderVersion,
    Flaw::LetsAnOlderEpochWin,
    Flaw::ComparesBeforeItWrites,
    Flaw::ForgetsWithTheAbsence,
    Flaw::MarksGoBackwards,
];

#[derive(Default)]
struct State {
    /// Entries, and until when they are kept.
    entries: HashMap<Sku, (CacheEntry, Option<Duration>)>,
    marks: BTreeMap<u32, PartitionMark>,
    filled: bool,
}

impl State {
    fn get(&self, sku: &Sku, now: Duration) -> Option<CacheEntry> {
        let (entry, until) = *self.entries.get(sku)?;
        until.is_none_or(|until| until > now).then_some(entry)
    }

    fn version(&self, sku: &Sku, now: Duration) -> Option<Version> {
        match self.get(sku, now)? {
            CacheEntry::Known { version, .. } => Some(version),
            CacheEntry::Absent => None,
        }
    }
}

struct FlawedCache {
    flaw: Flaw,
    clock: Arc<ManualClock>,
    state: Mutex<State>,
}

impl FlawedCache {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn decide(&self, cached: Option<Version>, new: Version) -> CacheWrite {
        let accepts = cached.is_some_and(|cached| match self.flaw {
            Flaw::AcceptsAnOlderVersion => new.epoch == cached.epoch,
            Flaw::LetsAnOlderEpochWin => new.number > cached.number,
            _ => false,
        });
        if accepts {
            CacheWrite::Stored
        } else {
            CacheWrite::decide(cached, new)
        }
    }

    async fn write_one(&self, changed: &StockChanged) -> CacheWrite {
        let now = self.clock.monotonic();
        let mut cached = self.state().version(&changed.sku, now);
        if self.flaw == Flaw::ComparesBeforeItWrites {
            // Some are slower than others.
            let slow = Duration::from_millis(changed.version.number % 7);
            tokio::time::sleep(slow).await;
        }
        let mut state = self.state();
        if self.flaw != Flaw::ComparesBeforeItWrites {
            cached = state.version(&changed.sku, now);
        }
        let (available, version) = (changed.new_stock_count, changed.version);
        let outcome = self.decide(cached, version);
        if outcome == CacheWrite::Stored {
            let before = state.entries.get(&changed.sku);
            let until = before
                .and_then(|(_, until)| *until)
                .filter(|_| self.flaw == Flaw::ForgetsWithTheAbsence);
            let entry = CacheEntry::Known { available, version };
            state.entries.insert(changed.sku.clone(), (entry, until));
        }
        outcome
    }
}

#[async_trait]
impl AvailabilityCache for FlawedCache {
    async fn read(&self, skus: &[Sku]) -> Result<CacheRead, CatalogError> {
        let (state, now) = (self.state(), self.clock.monotonic());
        let coverage = if state.filled {
            Coverage::Filled
        } else {
            Coverage::Unfilled
        };
        let entries = skus.iter().map(|sku| state.get(sku, now)).collect();
        let marks = state.marks.values().copied().collect();
        Ok(CacheRead::new(entries, marks, coverage))
    }

    async fn write(&self, entries: &[StockChanged]) -> Result<Vec<CacheWrite>, CatalogError> {
        let mut outcomes = Vec::new();
        for entry in entries {
            outcomes.push(self.write_one(entry).await);
        }
        Ok(outcomes)
    }

    async fn write_absent(&self, skus: &[Sku], ttl: Duration) -> Result<(), CatalogError> {
        let (mut state, now) = (self.state(), self.clock.monotonic());
        for sku in skus {
            if state.version(sku, now).is_none() {
                let entry = (CacheEntry::Absent, Some(now + ttl));
                state.entries.insert(sku.clone(), entry);
            }
        }
        Ok(())
    }

    async fn mark(&self, marks: &[PartitionMark]) -> Result<(), CatalogError> {
        let mut state = self.state();
        for mark in marks {
            let current = state.marks.entry(mark.partition).or_insert(*mark);
            let newer = mark.complete_as_of > current.complete_as_of;
            if newer || self.flaw == Flaw::MarksGoBackwards {
                *current = *mark;
            }
        }
        Ok(())
    }

    async fn mark_filled(&self) -> Result<(), CatalogError> {
        self.state().filled = true;
        Ok(())
    }
}

struct Built<const FLAW: usize>(Arc<FlawedCache>);

#[async_trait]
impl<const FLAW: usize> Harness for Built<FLAW> {
    const BACKEND: &'static str = "memory";

    async fn open() -> Result<Self, Absent> {
        Ok(Self(Arc::new(FlawedCache {
            flaw: FLAWS[FLAW],
            clock: Arc::new(ManualClock::new(Timestamp::EPOCH)),
            state: Mutex::default(),
        })))
    }

    async fn pass_time(&self, by: Duration) {
        self.0.clock.advance(by);
    }
}

impl<const FLAW: usize> CacheHarness for Built<FLAW> {
    fn cache(&self) -> Arc<dyn AvailabilityCache> {
        self.0.clone()
    }
}

type CorrectlyBuilt = Built<{ Flaw::None as usize }>;
stockade_testkit::availability_cache_conformance!(correctly_built, CorrectlyBuilt);

#[test]
fn accepts_an_older_version() {
    assert_fails::<Built<{ Flaw::AcceptsAnOlderVersion as usize }>>(
        &cache_cases(),
        &[
            "an_older_or_equal_version_is_not_stored",
            "a_known_sku_replaces_an_absence",
            "a_known_sku_stays_when_its_absence_would_have_ended",
            "an_older_epoch_is_refused_and_told",
            "concurrent_epochs_never_go_backwards",
            "concurrent_writers_never_go_backwards",
            "each_entry_has_its_own_outcome",
            "one_call_may_hold_a_sku_twice",
            "one_of_many_writers_of_a_version_stores_it",
        ],
        "an older or equal version was stored",
    );
}

#[test]
fn lets_an_older_epoch_win() {
    assert_fails::<Built<{ Flaw::LetsAnOlderEpochWin as usize }>>(
        &cache_cases(),
        &[
            "an_older_epoch_is_refused_and_told",
            "concurrent_epochs_never_go_backwards",
            "each_entry_has_its_own_outcome",
        ],
        "an older epoch won",
    );
}

#[test]
fn compares_before_it_writes() {
    assert_fails::<Built<{ Flaw::ComparesBeforeItWrites as usize }>>(
        &cache_cases(),
        &[
            "concurrent_writers_never_go_backwards",
            "concurrent_epochs_never_go_backwards",
            "one_of_many_writers_of_a_version_stores_it",
        ],
        "an older version was stored",
    );
}

#[test]
fn forgets_with_the_absence() {
    assert_fails::<Built<{ Flaw::ForgetsWithTheAbsence as usize }>>(
        &cache_cases(),
        &["a_known_sku_stays_when_its_absence_would_have_ended"],
        "what is known stays",
    );
}

#[test]
fn marks_go_backwards() {
    assert_fails::<Built<{ Flaw::MarksGoBackwards as usize }>>(
        &cache_cases(),
        &[
            "an_older_mark_changes_nothing",
            "concurrent_marks_never_go_backwards",
        ],
        "a mark went backwards",
    );
}
