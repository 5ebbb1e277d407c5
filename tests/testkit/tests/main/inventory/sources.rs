//! A source of stock in front of the store in memory, with a flaw or without.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use stockade_inventory_core::memory::MemoryInventory;
use stockade_inventory_core::{
    Adjustment, Counts, Cursor, InventoryError, InventoryStore, Line, Lines, LocationId,
    OperationId, OwnerId, Quantity, Reason, ReservationId, ReserveRequest, Sku, SkuStock,
    StockChange, StockLevel, StockPage, StockSource,
};
use stockade_testkit::inventory::{SourceHarness, source_cases};
use stockade_testkit::{Absent, Harness};

use crate::fails::assert_fails_on;
use crate::harnesses::clock;

/// What is wrong with a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    None,
    /// Answers in the order of the names.
    Sorts,
    /// Has no answer for a SKU that came before in the call.
    AnswersOnce,
    /// Returns one location.
    OneLocation,
    /// Returns no reserved units.
    ForgetsReserved,
    /// Counts in 32 bits.
    Wraps,
    /// Returns what it read first.
    Caches,
    /// Treats names that differ by case as one.
    IgnoresCase,
    /// Answers for the first thousand SKUs, and finds no stock of others.
    OnlyAThousand,
    /// Returns the answer of another call.
    MixesAnswers,
    /// Reads the levels of a SKU one after another.
    SeveralMoments,
    /// Begins each page with the last SKU of the page before.
    RepeatsTheLast,
    /// Continues after the SKU that follows the cursor's.
    SkipsOne,
    /// Returns a page that is larger than the limit.
    IgnoresTheLimit,
    /// Begins again at a cursor that it can not read.
    ReadsEveryCursor,
}

pub(super) struct Source {
    store: MemoryInventory,
    source: Arc<Flawed>,
}

struct Flawed {
    store: MemoryInventory,
    flaw: Flaw,
    read: Mutex<HashMap<Sku, Option<SkuStock>>>,
    last: tokio::sync::Mutex<Option<Vec<Option<SkuStock>>>>,
}

impl Source {
    async fn with(flaw: Flaw) -> Result<Self, Absent> {
        let store = MemoryInventory::new(clock());
        let source = Flawed {
            store: store.clone(),
            flaw,
            read: Mutex::default(),
            last: tokio::sync::Mutex::default(),
        };
        let source = Arc::new(source);
        Ok(Self { store, source })
    }
}

#[async_trait]
impl Harness for Source {
    const BACKEND: &'static str = "memory";

    async fn open() -> Result<Self, Absent> {
        Self::with(Flaw::None).await
    }
}

#[async_trait]
impl SourceHarness for Source {
    fn source(&self) -> Arc<dyn StockSource> {
        self.source.clone()
    }

    async fn receive(&self, sku: &Sku, location: &LocationId, quantity: Quantity) {
        let operation = OperationId::new(ReservationId::random().as_str()).unwrap();
        let change = StockChange::Receive(quantity);
        let reason = Reason::new("delivery").unwrap();
        let adjustment = Adjustment::new(operation, sku.clone(), change, reason);
        let adjusted = self.store.adjust(&[adjustment.at(location.clone())]).await;
        adjusted.unwrap().remove(0).unwrap();
    }

    async fn reserve(&self, sku: &Sku, location: &LocationId, quantity: Quantity) {
        let lines = Lines::new([Line::new(sku.clone(), quantity).at(location.clone())]).unwrap();
        let owner = OwnerId::new("ann").unwrap();
        let request = ReserveRequest::new(ReservationId::random(), owner, lines);
        let reserved = self.store.reserve(&[request]).await;
        reserved.unwrap().remove(0).unwrap();
    }
}

/// The stock with other counts, or without some levels.
fn changed(stock: &SkuStock, change: impl Fn(&StockLevel) -> Option<Counts>) -> Option<SkuStock> {
    let levels = stock.levels().iter().filter_map(|level| {
        let mut level = level.clone();
        level.counts = change(&level)?;
        Some(level)
    });
    SkuStock::new(levels.collect()).ok()
}

impl Flawed {
    async fn read(&self, sku: &Sku) -> Result<Option<SkuStock>, InventoryError> {
        let asked = match self.flaw {
            Flaw::IgnoresCase => Sku::new(sku.as_str().to_lowercase())?,
            _ => sku.clone(),
        };
        let stock = self.store.stock(&[asked]).await?.remove(0);
        let Some(found) = &stock else {
            return Ok(stock);
        };
        Ok(match self.flaw {
            Flaw::OneLocation => changed(found, |level| {
                (level.location == found.levels()[0].location).then_some(level.counts)
            }),
            Flaw::ForgetsReserved => changed(found, |level| {
                Counts::new(level.counts.physical(), 0, level.counts.escrowed()).ok()
            }),
            Flaw::Wraps => changed(found, |level| {
                let physical = level.counts.physical() & u64::from(u32::MAX);
                let reserved = level.counts.reserved().min(physical);
                Counts::new(physical, reserved, 0).ok()
            }),
            Flaw::Caches => {
                let mut read = self.read.lock().unwrap();
                read.entry(sku.clone()).or_insert(stock).clone()
            }
            Flaw::SeveralMoments => {
                let mut levels = Vec::new();
                for level in found.levels() {
                    let later = self.store.stock(std::slice::from_ref(sku)).await?.remove(0);
                    let later = later.expect("it was found before");
                    let same = |it: &&StockLevel| it.location == level.location;
                    levels.push(later.levels().iter().find(same).unwrap().clone());
                    for _ in 0..3 {
                        tokio::task::yield_now().await;
                    }
                }
                Some(SkuStock::new(levels)?)
            }
            _ => stock,
        })
    }
}

#[async_trait]
impl StockSource for Flawed {
    async fn stock(&self, skus: &[Sku]) -> Result<Vec<Option<SkuStock>>, InventoryError> {
        let mut skus = skus.to_vec();
        if self.flaw == Flaw::Sorts {
            skus.sort();
        }
        let mut seen = HashSet::new();
        let mut answers = Vec::new();
        for (at, sku) in skus.iter().enumerate() {
            let repeated = !seen.insert(sku.clone());
            answers.push(match self.flaw {
                Flaw::AnswersOnce if repeated => None,
                Flaw::OnlyAThousand if at >= 1_000 => None,
                _ => self.read(sku).await?,
            });
        }
        if self.flaw == Flaw::MixesAnswers && answers.len() == 1 {
            let mut last = self.last.lock().await;
            let swapped = last.replace(answers.clone());
            return Ok(swapped.unwrap_or(answers));
        }
        Ok(answers)
    }

    async fn scan(
        &self,
        after: Option<&Cursor>,
        limit: NonZeroUsize,
    ) -> Result<StockPage, InventoryError> {
        let limit = match self.flaw {
            Flaw::IgnoresTheLimit => limit.saturating_add(1),
            _ => limit,
        };
        let page = match self.store.scan(after, limit).await {
            Err(InventoryError::Invalid { .. }) if self.flaw == Flaw::ReadsEveryCursor => {
                self.store.scan(None, limit).await?
            }
            page => page?,
        };
        let mut stock = Vec::new();
        for found in &page.stock {
            stock.extend(self.read(found.sku()).await?);
        }
        let next = page.next.map(|next| match self.flaw {
            // The text that is just before the last SKU.
            Flaw::RepeatsTheLast if limit.get() > 1 => {
                let mut last = next.0.into_bytes();
                if let Some(end) = last.last_mut() {
                    *end -= 1;
                }
                last.push(b'~');
                Cursor(String::from_utf8(last).unwrap())
            }
            _ => next,
        });
        let next = match next {
            Some(next) if self.flaw == Flaw::SkipsOne => {
                self.store.scan(Some(&next), NonZeroUsize::MIN).await?.next
            }
            next => next,
        };
        Ok(StockPage::new(stock, next))
    }
}

fn assert_fails(flaw: Flaw, expected: &[&str], phrase: &str) {
    assert_fails_on(
        &source_cases::<Source>(),
        || Source::with(flaw),
        expected,
        phrase,
    );
}

macro_rules! flaws {
    ($($test:ident: $flaw:ident => [$($case:ident),+ $(,)?] $phrase:literal;)+) => {
        $(
            #[test]
            fn $test() {
                assert_fails(Flaw::$flaw, &[$(stringify!($case)),+], $phrase);
            }
        )+
    };
}

flaws! {
    sorts: Sorts => [stock_has_the_requested_order, thousands_of_skus_are_allowed]
        "in the order of the request";
    answers_once: AnswersOnce => [stock_has_the_requested_order, thousands_of_skus_are_allowed]
        "in the order of the request";
    one_location: OneLocation => [
        levels_have_all_their_counts,
        a_scan_has_every_sku_whole_and_once,
    ] "has no level at berlin";
    forgets_reserved: ForgetsReserved => [
        levels_have_all_their_counts,
        every_change_is_seen_by_the_next_call,
    ] "the counts at each location";
    wraps: Wraps => [counts_over_32_bits_are_exact] "physical and reserved units";
    caches: Caches => [every_change_is_seen_by_the_next_call]
        "the answer does not have it";
    ignores_case: IgnoresCase => [names_are_returned_unchanged] "the stock of";
    only_a_thousand: OnlyAThousand => [thousands_of_skus_are_allowed]
        "positions and units of the known SKUs";
    mixes_answers: MixesAnswers => [calls_at_once_have_their_own_answers]
        "the answer of the call for";
    several_moments: SeveralMoments => [the_levels_of_a_sku_are_one_moment]
        "are from different moments";
    repeats_the_last: RepeatsTheLast => [
        a_scan_misses_nothing_while_stock_changes,
        a_scan_has_every_sku_whole_and_once,
    ] "a scan saw a SKU twice";
    skips_one: SkipsOne => [a_scan_misses_nothing_while_stock_changes] "a SKU that existed all the time";
    ignores_the_limit: IgnoresTheLimit => [a_scan_has_every_sku_whole_and_once] "a page of at most";
    reads_every_cursor: ReadsEveryCursor => [a_cursor_from_elsewhere_is_refused]
        "did not make the cursor";
}
