//! A cache that can be told to break one rule, and the cases that fail then.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use stockade_catalog_core::{
    Advance, Advanced, Applied, AvailabilityCache, CacheEntry, CacheRead, CacheWrite, CatalogError,
    Continuity, Coverage, FillStep, FillToken, MarkWrite, PartitionMark,
};
use stockade_change_feed::{Clock, ManualClock, Offset, ReadFrom, Timestamp};
use stockade_inventory_core::{Sku, StockChanged, Version};
use stockade_testkit::cache::{
    CacheHarness, EmptyingHarness, RestoringHarness, cache_cases, emptying_cases, restoring_cases,
};
use stockade_testkit::{Absent, Harness};

use crate::fails::assert_fails_on;

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
    /// Compares offsets as floating point.
    RoundsOffsets,
    /// Moves marks on, whatever they follow.
    IgnoresGaps,
    /// Lets a fill count that began before a gap.
    FillsOutliveGaps,
    /// Keeps marks and coverage apart from the entries: when the entries are lost, they stay.
    MarksOutliveTheEntries,
    /// Moves the mark and writes the entries later.
    AdvancesBeforeItStores,
    /// Compares which fill it is, and not how far.
    CountsNoPages,
    /// Numbers the fills, and forgets the number with the rest.
    NumbersFills,
}

#[derive(Clone, Default)]
struct State {
    /// Entries, and until when they are kept.
    entries: HashMap<Sku, (CacheEntry, Option<Duration>)>,
    marks: BTreeMap<u32, PartitionMark>,
    filled: bool,
    /// How many pages each fill has written.
    fills: HashMap<String, u64>,
    begun: u64,
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

    fn coverage(&self) -> Coverage {
        if self.filled {
            Coverage::Filled
        } else {
            Coverage::Unfilled
        }
    }

    fn advance(&mut self, advance: &Advance, flaw: Flaw) -> Advanced {
        let kept = self.marks.get(&advance.partition).copied();
        let (mut mark, mut advanced) = advance.decide(kept.as_ref());
        let rounded = |offset: Offset| offset.0 as f64;
        match (flaw, kept, advance.after) {
            (Flaw::MarksGoBackwards, ..) if advanced.complete == Some(MarkWrite::NotNewer) => {
                mark.complete = advance.complete;
                advanced.complete = Some(MarkWrite::Stored);
            }
            (Flaw::IgnoresGaps, Some(_), _) => advanced.continuity = Continuity::Continuous,
            (Flaw::RoundsOffsets, Some(kept), ReadFrom::After(after))
                if rounded(kept.upto) >= rounded(after) =>
            {
                advanced.continuity = Continuity::Continuous;
            }
            _ => {}
        }
        self.marks.insert(advance.partition, mark);
        if advanced.continuity != Continuity::Continuous {
            self.filled = false;
            if flaw != Flaw::FillsOutliveGaps {
                self.fills.clear();
            }
        }
        advanced
    }

    fn is_under_way(&self, token: &FillToken, flaw: Flaw, fits: impl Fn(u64) -> bool) -> bool {
        let pages = self.fills.get(&token.id);
        pages.is_some_and(|&pages| flaw == Flaw::CountsNoPages || fits(pages))
    }

    /// What is left where all of it is replaced by `earlier`.
    fn replace(&mut self, earlier: Self, flaw: Flaw) {
        let later = std::mem::replace(self, earlier);
        if flaw == Flaw::MarksOutliveTheEntries {
            let entries = std::mem::take(&mut self.entries);
            *self = Self { entries, ..later };
        }
    }
}

struct FlawedCache {
    flaw: Flaw,
    clock: Arc<ManualClock>,
    state: Mutex<State>,
    /// Ids of fills, which are never lost.
    ids: Mutex<u64>,
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

    fn advance(&self, advances: &[Advance]) -> Vec<Advanced> {
        let mut state = self.state();
        let advances = advances.iter();
        advances
            .map(|advance| state.advance(advance, self.flaw))
            .collect()
    }
}

#[async_trait]
impl AvailabilityCache for FlawedCache {
    async fn read(&self, skus: &[Sku]) -> Result<CacheRead, CatalogError> {
        let (state, now) = (self.state(), self.clock.monotonic());
        let entries = skus.iter().map(|sku| state.get(sku, now)).collect();
        let marks = state.marks.values().copied().collect();
        Ok(CacheRead::new(entries, marks, state.coverage()))
    }

    async fn apply(
        &self,
        entries: &[StockChanged],
        advances: &[Advance],
    ) -> Result<Applied, CatalogError> {
        if self.flaw == Flaw::AdvancesBeforeItStores {
            let advanced = self.advance(advances);
            tokio::time::sleep(Duration::from_millis(1)).await;
            return Ok(Applied::new(self.write(entries).await?, advanced));
        }
        let written = self.write(entries).await?;
        Ok(Applied::new(written, self.advance(advances)))
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

    async fn begin_fill(&self) -> Result<FillToken, CatalogError> {
        let mut state = self.state();
        state.begun += 1;
        let mut ids = self.ids.lock().unwrap();
        *ids += 1;
        let id = match self.flaw {
            Flaw::NumbersFills => state.begun,
            _ => *ids,
        };
        let token = FillToken::first(id.to_string());
        state.fills.insert(token.id.clone(), token.step);
        Ok(token)
    }

    async fn fill(
        &self,
        token: &FillToken,
        entries: &[StockChanged],
    ) -> Result<FillStep, CatalogError> {
        let outcomes = self.write(entries).await?;
        let mut state = self.state();
        let fits = |pages| token.follows(pages);
        if !state.is_under_way(token, self.flaw, fits) {
            return Ok(FillStep::new(outcomes, None));
        }
        let next = token.next();
        state.fills.insert(next.id.clone(), next.step);
        Ok(FillStep::new(outcomes, Some(next)))
    }

    async fn end_fill(&self, token: &FillToken) -> Result<Coverage, CatalogError> {
        let mut state = self.state();
        if state.is_under_way(token, self.flaw, |pages| pages == token.step) {
            state.filled = true;
            state.fills.clear();
        }
        Ok(state.coverage())
    }
}

struct Built(Arc<FlawedCache>);

impl Built {
    async fn with(flaw: Flaw) -> Result<Self, Absent> {
        Ok(Self(Arc::new(FlawedCache {
            flaw,
            clock: Arc::new(ManualClock::new(Timestamp::EPOCH)),
            state: Mutex::default(),
            ids: Mutex::default(),
        })))
    }
}

#[async_trait]
impl Harness for Built {
    const BACKEND: &'static str = "memory";

    async fn open() -> Result<Self, Absent> {
        Self::with(Flaw::None).await
    }

    async fn pass_time(&self, by: Duration) {
        self.0.clock.advance(by);
    }
}

impl CacheHarness for Built {
    fn cache(&self) -> Arc<dyn AvailabilityCache> {
        self.0.clone()
    }
}

#[async_trait]
impl EmptyingHarness for Built {
    async fn empty(&self) {
        self.0.state().replace(State::default(), self.0.flaw);
    }
}

#[async_trait]
impl RestoringHarness for Built {
    type Copy = Box<dyn std::any::Any + Send>;

    async fn save(&self) -> Self::Copy {
        Box::new(self.0.state().clone())
    }

    async fn restore(&self, copy: Self::Copy) {
        let earlier = *copy.downcast::<State>().unwrap();
        self.0.state().replace(earlier, self.0.flaw);
    }
}

stockade_testkit::availability_cache_conformance!(correctly_built, Built);
stockade_testkit::cache_emptying_conformance!(correctly_built_emptied, Built);
stockade_testkit::cache_restoring_conformance!(correctly_built_restored, Built);

#[test]
fn accepts_an_older_version() {
    assert_fails_on(
        &cache_cases(),
        || Built::with(Flaw::AcceptsAnOlderVersion),
        &[
            "an_older_or_equal_version_is_not_stored",
            "one_call_may_hold_a_sku_twice",
            "a_page_stores_what_is_newer",
            "entries_are_stored_with_their_advance",
        ],
        "an older or equal version was stored",
    );
}

#[test]
fn lets_an_older_epoch_win() {
    assert_fails_on(
        &cache_cases(),
        || Built::with(Flaw::LetsAnOlderEpochWin),
        &[
            "an_older_epoch_is_refused_and_reported",
            "each_entry_has_its_own_outcome",
        ],
        "an older epoch won",
    );
}

#[test]
fn compares_before_it_writes() {
    assert_fails_on(
        &cache_cases(),
        || Built::with(Flaw::ComparesBeforeItWrites),
        &["one_of_many_writers_of_a_version_stores_it"],
        "a write is compared and stored in one step",
    );
}

#[test]
fn forgets_with_the_absence() {
    assert_fails_on(
        &cache_cases(),
        || Built::with(Flaw::ForgetsWithTheAbsence),
        &["a_known_sku_does_not_expire_with_its_absence"],
        "known SKUs stay",
    );
}

#[test]
fn marks_go_backwards() {
    assert_fails_on(
        &cache_cases(),
        || Built::with(Flaw::MarksGoBackwards),
        &["an_older_heartbeat_changes_nothing"],
        "a mark went backwards",
    );
}

#[test]
fn rounds_offsets() {
    assert_fails_on(
        &cache_cases(),
        || Built::with(Flaw::RoundsOffsets),
        &["offsets_are_exact"],
        "and the next offset are different",
    );
}

#[test]
fn ignores_gaps() {
    assert_fails_on(
        &cache_cases(),
        || Built::with(Flaw::IgnoresGaps),
        &[
            "records_that_are_not_continuous_are_a_gap",
            "a_gap_ends_the_fills_in_progress",
            "a_partition_that_begins_is_a_gap",
        ],
        "no gap was noticed",
    );
    assert_fails_on(
        &restoring_cases(),
        || Built::with(Flaw::IgnoresGaps),
        &[
            "a_cache_restored_to_an_old_state_notices_lost_records",
            "a_cache_without_its_last_record_notices_the_loss",
            "no_page_shows_old_stock_as_fresh",
        ],
        "49 records are lost",
    );
}

#[test]
fn fills_outlive_gaps() {
    assert_fails_on(
        &cache_cases(),
        || Built::with(Flaw::FillsOutliveGaps),
        &["a_gap_ends_the_fills_in_progress"],
        "a fill that began before the gap counted",
    );
}

#[test]
fn marks_outlive_the_entries() {
    assert_fails_on(
        &restoring_cases(),
        || Built::with(Flaw::MarksOutliveTheEntries),
        &[
            "a_cache_restored_to_an_old_state_notices_lost_records",
            "a_cache_without_its_last_record_notices_the_loss",
            "a_fill_that_lost_a_page_does_not_count",
            "a_fill_id_is_not_reused",
            "no_copy_has_a_page_counted_without_its_entries",
            "no_copy_has_an_advance_without_its_entries",
            "no_page_shows_old_stock_as_fresh",
        ],
        "49 records are lost",
    );
    assert_fails_on(
        &emptying_cases(),
        || Built::with(Flaw::MarksOutliveTheEntries),
        &[
            "an_emptied_cache_is_no_longer_filled",
            "a_fill_of_a_cache_that_was_emptied_does_not_count",
            "an_emptied_cache_can_be_filled_again",
            "records_after_it_was_emptied_are_a_gap",
        ],
        "it was emptied, but says that it is filled",
    );
}

#[test]
fn advances_before_it_stores() {
    assert_fails_on(
        &restoring_cases(),
        || Built::with(Flaw::AdvancesBeforeItStores),
        &["no_copy_has_an_advance_without_its_entries"],
        "without the entries up to there",
    );
}

#[test]
fn counts_no_pages() {
    assert_fails_on(
        &restoring_cases(),
        || Built::with(Flaw::CountsNoPages),
        &[
            "a_fill_that_lost_a_page_does_not_count",
            "no_copy_has_a_page_counted_without_its_entries",
        ],
        "a fill with a lost page counted",
    );
}

#[test]
fn numbers_fills() {
    assert_fails_on(
        &restoring_cases(),
        || Built::with(Flaw::NumbersFills),
        &["a_fill_id_is_not_reused"],
        "the token of a lost fill is accepted for a later fill",
    );
}
