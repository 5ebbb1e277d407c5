//! Fills a cache of availability from stock events.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use metrics::counter;
use stockade_change_feed::{Disposition, Handler, Record, Retry};
use stockade_inventory_core::{Heartbeat, Sku, StockChanged, StockEvent, Version};

use crate::cache::{AvailabilityCache, CacheWrite, PartitionMark};
use crate::deadline::within;
use crate::error::CatalogError;

/// Writes the stock events of one topic to a cache, and heartbeats as marks of how far each
/// partition is complete.
///
/// A mark is written only after all entries before it are stored. An event of an older epoch than
/// the cache's is dead-lettered, loudly: somebody reads or publishes a history that has ended.
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
        if outcomes.len() != entries.len() {
            let (found, asked) = (outcomes.len(), entries.len());
            let what = format!("the cache returned {found} outcomes for {asked} entries");
            return Err(CatalogError::Damaged { what });
        }
        let skus = entries.into_iter().map(|entry| entry.sku);
        Ok(skus.zip(outcomes).collect())
    }

    async fn mark(&self, marks: Vec<PartitionMark>) -> Result<(), CatalogError> {
        if marks.is_empty() {
            return Ok(());
        }
        within(
            "marking availability",
            self.timeout,
            self.cache.mark(&marks),
        )
        .await
    }
}

#[async_trait]
impl Handler for AvailabilityWorker {
    async fn handle(&self, records: &[Record]) -> Vec<Disposition> {
        let events: Vec<Event> = records.iter().map(Event::read).collect();
        let stored = self.store(newest_entries(&events)).await;
        let marked = match &stored {
            Ok(_) => self.mark(newest_marks(&events)).await,
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
            complete_as_of,
        })
    }

    fn disposition(
        &self,
        stored: &Result<HashMap<Sku, CacheWrite>, CatalogError>,
        marked: &Result<(), CatalogError>,
    ) -> Disposition {
        match self {
            Self::Nothing => Disposition::Done,
            Self::Malformed(reason) => Disposition::DeadLetter {
                reason: reason.clone(),
            },
            Self::Mark(_) => match marked {
                Ok(()) => Disposition::Done,
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

fn newest_marks(events: &[Event]) -> Vec<PartitionMark> {
    let mut newest: BTreeMap<u32, PartitionMark> = BTreeMap::new();
    for event in events {
        if let Event::Mark(mark) = event {
            let kept = newest.entry(mark.partition).or_insert(*mark);
            if mark.complete_as_of > kept.complete_as_of {
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
