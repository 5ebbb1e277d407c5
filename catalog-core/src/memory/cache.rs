//! Availability in memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use stockade_change_feed::{Clock, SystemClock};
use stockade_inventory_core::{Sku, StockChanged, Version};

use crate::availability::{
    Advance, Advanced, Applied, AvailabilityCache, CacheEntry, CacheRead, CacheWrite, Continuity,
    Coverage, FillStep, FillToken, PartitionMark,
};
use crate::error::CatalogError;

/// Most absences that are stored: requests for SKUs that do not exist must not fill the memory.
const ABSENT: usize = 100_000;
/// Most fills in progress at once.
const FILLS: usize = 16;

/// Ids of fills. The cache never loses these.
static NEXT_FILL: AtomicU64 = AtomicU64::new(0);

/// A cache of availability in memory.
#[derive(Debug)]
pub struct MemoryAvailabilityCache {
    state: Mutex<State>,
    clock: Arc<dyn Clock>,
}

/// The content of a [`MemoryAvailabilityCache`] at some time; see
/// [`save`](MemoryAvailabilityCache::save).
#[derive(Clone, Debug)]
pub struct SavedCache(State);

#[derive(Clone, Debug, Default)]
struct State {
    known: HashMap<Sku, (u64, Version)>,
    /// When each absence expires, on the monotonic clock.
    absent: HashMap<Sku, Duration>,
    marks: BTreeMap<u32, PartitionMark>,
    filled: bool,
    /// How many pages each fill in progress has written.
    fills: HashMap<String, u64>,
}

impl Default for MemoryAvailabilityCache {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryAvailabilityCache {
    /// An empty cache.
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: Mutex::default(),
            clock: Arc::new(SystemClock::new()),
        }
    }

    /// Sets the clock by which absences expire.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Loses everything, as a cache may.
    pub fn clear(&self) {
        *self.lock() = State::default();
    }

    /// A copy of the content, for tests in which a cache falls back to it.
    #[must_use]
    pub fn save(&self) -> SavedCache {
        SavedCache(self.lock().clone())
    }

    /// Replaces the content by an earlier one, like a server that restarts from an old snapshot.
    pub fn restore(&self, saved: SavedCache) {
        *self.lock() = saved.0;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics halfway through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl AvailabilityCache for MemoryAvailabilityCache {
    async fn read(&self, skus: &[Sku]) -> Result<CacheRead, CatalogError> {
        let now = self.clock.monotonic();
        let state = self.lock();
        Ok(CacheRead::new(
            skus.iter().map(|sku| state.entry(sku, now)).collect(),
            state.marks.values().copied().collect(),
            state.coverage(),
        ))
    }

    async fn apply(
        &self,
        entries: &[StockChanged],
        advances: &[Advance],
    ) -> Result<Applied, CatalogError> {
        let mut state = self.lock();
        Ok(Applied::new(
            entries.iter().map(|entry| state.write(entry)).collect(),
            advances
                .iter()
                .map(|advance| state.advance(advance))
                .collect(),
        ))
    }

    async fn write(&self, entries: &[StockChanged]) -> Result<Vec<CacheWrite>, CatalogError> {
        let mut state = self.lock();
        Ok(entries.iter().map(|entry| state.write(entry)).collect())
    }

    async fn write_absent(&self, skus: &[Sku], ttl: Duration) -> Result<(), CatalogError> {
        let now = self.clock.monotonic();
        let mut state = self.lock();
        if state.absent.len() + skus.len() > ABSENT {
            state.absent.retain(|_, until| *until > now);
        }
        for sku in skus {
            if state.absent.len() < ABSENT && !state.known.contains_key(sku) {
                state.absent.insert(sku.clone(), now.saturating_add(ttl));
            }
        }
        Ok(())
    }

    async fn begin_fill(&self) -> Result<FillToken, CatalogError> {
        let id = NEXT_FILL.fetch_add(1, Ordering::Relaxed);
        let token = FillToken::first(id.to_string());
        let mut state = self.lock();
        if state.fills.len() >= FILLS {
            state.fills.clear();
        }
        state.fills.insert(token.id.clone(), token.step);
        Ok(token)
    }

    async fn fill(
        &self,
        token: &FillToken,
        entries: &[StockChanged],
    ) -> Result<FillStep, CatalogError> {
        let mut state = self.lock();
        let outcomes = entries.iter().map(|entry| state.write(entry)).collect();
        let pages = state.fills.get(&token.id).copied();
        let next = pages.filter(|&pages| token.follows(pages));
        let next = next.map(|_| token.next());
        if let Some(next) = &next {
            state.fills.insert(next.id.clone(), next.step);
        }
        Ok(FillStep::new(outcomes, next))
    }

    async fn end_fill(&self, token: &FillToken) -> Result<Coverage, CatalogError> {
        let mut state = self.lock();
        if state.fills.get(&token.id) == Some(&token.step) {
            state.filled = true;
            state.fills.clear();
        }
        Ok(state.coverage())
    }
}

impl State {
    fn coverage(&self) -> Coverage {
        if self.filled {
            Coverage::Filled
        } else {
            Coverage::Unfilled
        }
    }

    fn advance(&mut self, advance: &Advance) -> Advanced {
        let (mark, advanced) = advance.decide(self.marks.get(&advance.partition));
        self.marks.insert(advance.partition, mark);
        if matches!(advanced.continuity, Continuity::Gap { .. }) {
            self.filled = false;
            self.fills.clear();
        }
        advanced
    }

    fn entry(&self, sku: &Sku, now: Duration) -> Option<CacheEntry> {
        if let Some(&(available, version)) = self.known.get(sku) {
            return Some(CacheEntry::Known { available, version });
        }
        let until = self.absent.get(sku)?;
        (*until > now).then_some(CacheEntry::Absent)
    }

    fn write(&mut self, entry: &StockChanged) -> CacheWrite {
        let cached = self.known.get(&entry.sku).map(|(_, version)| *version);
        let outcome = CacheWrite::decide(cached, entry.version);
        if outcome == CacheWrite::Stored {
            let value = (entry.new_stock_count, entry.version);
            self.known.insert(entry.sku.clone(), value);
            self.absent.remove(&entry.sku);
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use stockade_change_feed::{ManualClock, Timestamp};

    use super::*;

    fn sku(name: &str) -> Sku {
        Sku::new(name).unwrap()
    }

    fn changed(count: u64, epoch: u32, number: u64) -> StockChanged {
        let version = Version::new(epoch, number);
        StockChanged::new(sku("tee"), count, version, Timestamp::EPOCH)
    }

    async fn tee(cache: &MemoryAvailabilityCache) -> Option<CacheEntry> {
        cache.read(&[sku("tee")]).await.unwrap().entries[0]
    }

    #[tokio::test]
    async fn an_older_version_never_wins() {
        let cache = MemoryAvailabilityCache::new();
        let writes = [
            (changed(5, 0, 2), CacheWrite::Stored),
            (changed(9, 0, 2), CacheWrite::NotNewer),
            (changed(9, 0, 1), CacheWrite::NotNewer),
            (changed(4, 1, 1), CacheWrite::Stored),
            (
                changed(9, 0, 99),
                CacheWrite::OlderEpoch {
                    cached: Version::new(1, 1),
                },
            ),
        ];
        for (entry, expected) in writes {
            assert_eq!(cache.write(&[entry]).await.unwrap(), [expected]);
        }
        let known = CacheEntry::Known {
            available: 4,
            version: Version::new(1, 1),
        };
        assert_eq!(tee(&cache).await, Some(known));
    }

    #[tokio::test]
    async fn absence_is_remembered_for_a_while_and_gives_way_to_stock() {
        let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
        let cache = MemoryAvailabilityCache::new().with_clock(clock.clone());
        let ttl = Duration::from_secs(60);
        cache.write_absent(&[sku("tee")], ttl).await.unwrap();
        assert_eq!(tee(&cache).await, Some(CacheEntry::Absent));
        clock.advance(ttl);
        assert_eq!(tee(&cache).await, None);
        cache.write(&[changed(0, 0, 1)]).await.unwrap();
        cache.write_absent(&[sku("tee")], ttl).await.unwrap();
        assert!(matches!(tee(&cache).await, Some(CacheEntry::Known { .. })));
    }

    #[tokio::test]
    async fn fills_under_way_are_bounded() {
        let cache = MemoryAvailabilityCache::new();
        let first = cache.begin_fill().await.unwrap();
        let mut last = first.clone();
        for _ in 0..FILLS {
            last = cache.begin_fill().await.unwrap();
        }
        assert_eq!(cache.fill(&first, &[]).await.unwrap().next, None);
        let next = cache.fill(&last, &[]).await.unwrap().next;
        assert_eq!(next, Some(last.next()));
    }
}
