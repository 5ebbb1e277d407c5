//! Availability in memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use stockade_change_feed::{Clock, SystemClock};
use stockade_inventory_core::{Sku, StockChanged, Version};

use crate::cache::{AvailabilityCache, CacheEntry, CacheRead, CacheWrite, Coverage, PartitionMark};
use crate::error::CatalogError;

/// Most absences that are remembered: whoever asks for SKUs that don't exist fills no memory.
const ABSENT: usize = 100_000;

/// A cache of availability in memory.
#[derive(Debug)]
pub struct MemoryAvailabilityCache {
    state: Mutex<State>,
    clock: Arc<dyn Clock>,
}

#[derive(Debug, Default)]
struct State {
    known: HashMap<Sku, (u64, Version)>,
    /// Until when each absence is remembered, on the monotonic clock.
    absent: HashMap<Sku, Duration>,
    marks: BTreeMap<u32, PartitionMark>,
    filled: bool,
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

    /// With another clock, by which absences are forgotten.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Loses everything, as a cache may.
    pub fn clear(&self) {
        *self.lock() = State::default();
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
        let coverage = if state.filled {
            Coverage::Filled
        } else {
            Coverage::Unfilled
        };
        Ok(CacheRead::new(
            skus.iter().map(|sku| state.entry(sku, now)).collect(),
            state.marks.values().copied().collect(),
            coverage,
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

    async fn mark(&self, marks: &[PartitionMark]) -> Result<(), CatalogError> {
        let mut state = self.lock();
        for mark in marks {
            let current = state.marks.entry(mark.partition).or_insert(*mark);
            if mark.complete_as_of > current.complete_as_of {
                *current = *mark;
            }
        }
        Ok(())
    }

    async fn mark_filled(&self) -> Result<(), CatalogError> {
        self.lock().filled = true;
        Ok(())
    }
}

impl State {
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
    async fn marks_never_go_back() {
        let cache = MemoryAvailabilityCache::new();
        let mark = |millis| PartitionMark {
            partition: 0,
            partitions: 1,
            complete_as_of: Timestamp::from_millis(millis),
        };
        cache.mark(&[mark(5), mark(3)]).await.unwrap();
        cache.mark(&[mark(4)]).await.unwrap();
        assert_eq!(cache.read(&[]).await.unwrap().marks, [mark(5)]);
    }
}
