//! Fills a cache of availability from stock events.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use metrics::counter;
use stockade_change_feed::{Batch, Disposition, Handler, Record, Retry};
use stockade_inventory_core::{Heartbeat, Sku, StockChanged, StockEvent, Version};

use crate::availability::cache::{AvailabilityCache, CacheWrite, MarkWrite, PartitionMark};
use crate::deadline::within;
use crate::error::CatalogError;

/// Writes the stock events of one topic to a cache, and heartbeats as marks of how far each
/// partition is complete.
///
/// A mark is written only after all entries before it are stored. An event of an older epoch than
/// the cache's is dead-lettered, loudly: somebody reads or publishes a history that has ended.
/// Where an event is dead-lettered, the heartbeats that follow it in its partition and in the same
/// call are not marked: a cache that lacks an event is not complete. The next call's are, since
/// what was lost is in the dead letters by then, and inventory publishes its levels again.
pub struct AvailabilityWorker {
    cache: Arc<dyn AvailabilityCache>,
    timeout: Duration,
}

impl fmt::Debug for AvailabilityWorker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AvailabilityWorker")
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl AvailabilityWorker {
    /// Fills this cache, which is given 5 s for each call.
    #[must_use]
    pub fn new(cache: Arc<dyn AvailabilityCache>) -> Self {
        Self {
            cache,
            timeout: Duration::from_secs(5),
        }
    }

    /// With another deadline for each call of the cache.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Writes the newest entry of each SKU, and returns how each ended.
    async fn store(
        &self,
        entries: Vec<StockChanged>,
    ) -> Result<HashMap<Sku, CacheWrite>, CatalogError> {
        if entries.is_empty() {
            return Ok(HashMap::new());
        }
        let call = self.cache.write(&entries);
        let outcomes = within("writing availability", self.timeout, call).await?;
        one_for_each(outcomes.len(), entries.len())?;
        let skus = entries.into_iter().map(|entry| entry.sku);
        Ok(skus.zip(outcomes).collect())
    }

    /// Writes the newest mark of each partition, and returns how each ended.
    async fn mark(
        &self,
        marks: Vec<PartitionMark>,
    ) -> Result<HashMap<u32, MarkWrite>, CatalogError> {
        if marks.is_empty() {
            return Ok(HashMap::new());
        }
        let call = self.cache.mark(&marks);
        let outcomes = within("marking availability", self.timeout, call).await?;
        one_for_each(outcomes.len(), marks.len())?;
        let partitions = marks.into_iter().map(|mark| mark.partition);
        Ok(partitions.zip(outcomes).collect())
    }
}

#[async_trait]
impl Handler for AvailabilityWorker {
    async fn handle(&self, batch: Batch<'_>) -> Vec<Disposition> {
        let records = batch.records;
        let events: Vec<Event> = records.iter().map(Event::read).collect();
        let stored = self.store(newest_entries(&events)).await;
        let marked = match &stored {
            Ok(stored) => self.mark(newest_marks(records, &events, stored)).await,
            Err(error) => Err(error.clone()),
        };
        events
            .iter()
            .map(|event| event.disposition(&stored, &marked))
            .collect()
    }
}

/// What a record says.
enum Event {
    Entry(StockChanged),
    Mark(PartitionMark),
    Nothing,
    Malformed(String),
}

impl Event {
    fn read(record: &Record) -> Self {
        match StockEvent::from_record(record) {
            Ok(Some(StockEvent::Changed(changed))) => Self::Entry(changed),
            Ok(Some(StockEvent::Heartbeat(heartbeat))) => {
                Self::heartbeat(heartbeat, record.position.partition.partition)
            }
            Ok(Some(other)) => Self::Malformed(format!("an unknown stock event: {other:?}")),
            Ok(None) => Self::Nothing,
            Err(error) => Self::Malformed(error.to_string()),
        }
    }

    fn heartbeat(heartbeat: Heartbeat, partition: u32) -> Self {
        let Heartbeat {
            epoch,
            complete_as_of,
            partitions,
            ..
        } = heartbeat;
        if partition >= partitions {
            let reason = format!("a heartbeat for {partitions} partitions in number {partition}");
            return Self::Malformed(reason);
        }
        Self::Mark(PartitionMark {
            partition,
            partitions,
            epoch,
            complete_as_of,
        })
    }

    /// Whether it says something of stock that the cache was not given.
    fn is_lost(&self, stored: &HashMap<Sku, CacheWrite>) -> bool {
        match self {
            Self::Malformed(_) => true,
            Self::Entry(entry) => {
                matches!(stored.get(&entry.sku), Some(CacheWrite::OlderEpoch { .. }))
            }
            Self::Mark(_) | Self::Nothing => false,
        }
    }

    fn disposition(
        &self,
        stored: &Result<HashMap<Sku, CacheWrite>, CatalogError>,
        marked: &Result<HashMap<u32, MarkWrite>, CatalogError>,
    ) -> Disposition {
        match self {
            Self::Nothing => Disposition::Done,
            Self::Malformed(reason) => Disposition::DeadLetter {
                reason: reason.clone(),
            },
            Self::Mark(mark) => match marked {
                Ok(outcomes) => noted(mark, outcomes.get(&mark.partition)),
                Err(error) => unavailable(error),
            },
            Self::Entry(entry) => match stored {
                Ok(outcomes) => written(entry, outcomes.get(&entry.sku)),
                Err(error) => unavailable(error),
            },
        }
    }
}

/// The newest entry of each SKU: the others of the batch are superseded.
fn newest_entries(events: &[Event]) -> Vec<StockChanged> {
    let mut newest: BTreeMap<&Sku, &StockChanged> = BTreeMap::new();
    for event in events {
        if let Event::Entry(entry) = event {
            let kept = newest.entry(&entry.sku).or_insert(entry);
            if entry.version > kept.version {
                *kept = entry;
            }
        }
    }
    newest.into_values().cloned().collect()
}

/// The newest mark of each partition, of those that no lost event comes before.
fn newest_marks(
    records: &[Record],
    events: &[Event],
    stored: &HashMap<Sku, CacheWrite>,
) -> Vec<PartitionMark> {
    let mut newest: BTreeMap<u32, PartitionMark> = BTreeMap::new();
    let mut incomplete = BTreeSet::new();
    for (record, event) in records.iter().zip(events) {
        let partition = record.position.partition.partition;
        if event.is_lost(stored) {
            incomplete.insert(partition);
        }
        if let Event::Mark(mark) = event
            && !incomplete.contains(&partition)
        {
            let kept = newest.entry(mark.partition).or_insert(*mark);
            if mark.decide(Some(kept)) == MarkWrite::Stored {
                *kept = *mark;
            }
        }
    }
    newest.into_values().collect()
}

fn written(entry: &StockChanged, outcome: Option<&CacheWrite>) -> Disposition {
    match outcome {
        Some(CacheWrite::OlderEpoch { cached }) => {
            let reason = report_older_epoch(entry, *cached);
            Disposition::DeadLetter { reason }
        }
        _ => Disposition::Done,
    }
}

fn noted(mark: &PartitionMark, outcome: Option<&MarkWrite>) -> Disposition {
    let Some(MarkWrite::OlderEpoch { cached }) = outcome else {
        return Disposition::Done;
    };
    counter!("stockade_availability_older_epochs_total").increment(1);
    let reason = format!(
        "a heartbeat of partition {} is of epoch {}, older than the cached {cached}: \
         a relay goes on with a history that has ended",
        mark.partition, mark.epoch
    );
    tracing::error!("{reason}");
    Disposition::DeadLetter { reason }
}

pub(crate) fn one_for_each(found: usize, asked: usize) -> Result<(), CatalogError> {
    if found == asked {
        return Ok(());
    }
    let what = format!("the cache returned {found} outcomes for {asked} writes");
    Err(CatalogError::Damaged { what })
}

/// Says loudly that stock of a history was met that an operator has ended.
pub(crate) fn report_older_epoch(entry: &StockChanged, cached: Version) -> String {
    let StockChanged { sku, version, .. } = entry;
    counter!("stockade_availability_older_epochs_total").increment(1);
    let reason = format!(
        "{sku} at version {version} is of an older epoch than the cached {cached}: \
         its source goes on with a history that has ended"
    );
    tracing::error!("{reason}");
    reason
}

fn unavailable(error: &CatalogError) -> Disposition {
    let retry_after = match error.retry() {
        Retry::After(pause) => pause,
        _ => Duration::from_secs(1),
    };
    Disposition::Unavailable {
        reason: error.to_string(),
        retry_after,
    }
}

#[cfg(test)]
#[path = "worker_tests.rs"]
mod tests;
