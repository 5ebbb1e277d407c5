//! Applies stock events to a cache of availability.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use metrics::counter;
use stockade_change_feed::time::{Deadline, one_for_each};
use stockade_change_feed::{
    Batch, Beginning, Clock, Disposition, Handler, ReadFrom, Record, Retry, SystemClock,
};
use stockade_inventory_core::{Heartbeat, Sku, StockChanged, StockEvent, Version};

use crate::availability::cache::{AvailabilityCache, CacheWrite};
use crate::availability::marks::{Advance, Advanced, Completeness, Continuity, MarkWrite};
use crate::error::CatalogError;

const APPLY: &str = "apply stock events to the cache";

/// Writes the stock events of one topic to a cache, and the heartbeats of each partition.
///
/// - It remembers the last record of each partition that it applied, and sends its offset with the
///   next records. A cache that has not reached that offset has lost writes: it becomes unfilled,
///   pages no longer trust it, and an [`AvailabilityRefill`](crate::AvailabilityRefill) has to fill
///   it again.
/// - When a partition is assigned to it, it first checks that the cache has reached the offset that
///   its group has committed.
/// - An event of an older epoch than the cache's is dead-lettered and logged as an error: a worker
///   reads, or a relay publishes, a history that has ended.
/// - When an event is dead-lettered because it can not be decoded, the heartbeats after it in its
///   partition and in the same call are ignored, because the cache misses that event. Heartbeats of
///   the next call count: by then the event is stored as a dead letter, and inventory publishes its
///   levels again.
///
/// Counters: `stockade_availability_gaps_total`, `stockade_availability_older_epochs_total`.
///
/// ```no_run
/// use std::sync::Arc;
///
/// use stockade_catalog_core::{AvailabilityCache, AvailabilityRefill, AvailabilityWorker};
/// use stockade_change_feed::{Consumer, DeadLetters, Feed, Group, Publisher, Topic};
/// use stockade_inventory_core::StockSource;
///
/// # async fn run(
/// #     cache: Arc<dyn AvailabilityCache>,
/// #     inventory: Arc<dyn StockSource>,
/// #     feed: Arc<dyn Feed>,
/// #     publisher: Arc<dyn Publisher>,
/// #     stop: impl Future<Output = ()> + Send + Sync + Clone + 'static,
/// # ) -> Result<(), Box<dyn std::error::Error>> {
/// // The entries of what changes, and a fill of those that have not changed yet.
/// let refill = AvailabilityRefill::new(cache.clone(), inventory);
/// tokio::spawn(refill.run(stop.clone()));
///
/// let updates = Topic::new("inventory_updates")?;
/// let worker = Arc::new(AvailabilityWorker::new(cache));
/// Consumer::new(feed, Group::new("availability")?, vec![updates], worker)
///     .with_dead_letters(DeadLetters::new(publisher, Topic::new("inventory_updates.dead")?))
///     .run(stop)
///     .await?;
/// # Ok(())
/// # }
/// ```
pub struct AvailabilityWorker {
    cache: Arc<dyn AvailabilityCache>,
    clock: Arc<dyn Clock>,
    timeout: Duration,
    /// The place before the next record of each partition.
    next: Mutex<HashMap<u32, ReadFrom>>,
}

impl fmt::Debug for AvailabilityWorker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AvailabilityWorker")
            .field("timeout", &self.timeout)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

impl AvailabilityWorker {
    /// A worker that writes to this cache, with a deadline of 5 s for each call.
    #[must_use]
    pub fn new(cache: Arc<dyn AvailabilityCache>) -> Self {
        Self {
            cache,
            clock: Arc::new(SystemClock::new()),
            timeout: Duration::from_secs(5),
            next: Mutex::default(),
        }
    }

    /// Sets the clock for deadlines.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Sets the deadline for each call of the cache.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    fn next(&self) -> MutexGuard<'_, HashMap<u32, ReadFrom>> {
        // Nothing panics halfway through a change.
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The advance of each partition in a batch. A partition that begins without a record is
    /// checked: the cache must have reached the committed offset.
    fn advances(&self, batch: Batch<'_>, events: &[Event]) -> Vec<Advance> {
        let mut next = self.next();
        for Beginning { partition, from } in batch.beginnings {
            next.insert(partition.partition, *from);
        }
        let mut advances = advances_of(batch.records, events, &next);
        for Beginning { partition, .. } in batch.beginnings {
            let partition = partition.partition;
            if let Some(&after @ ReadFrom::After(upto)) = next.get(&partition) {
                advances
                    .entry(partition)
                    .or_insert_with(|| Advance::empty(partition, after, upto));
            }
        }
        advances.into_values().collect()
    }

    /// Applies a batch, and returns the outcome of each SKU's entry and of each partition.
    async fn apply(
        &self,
        entries: Vec<StockChanged>,
        advances: Vec<Advance>,
    ) -> Result<Outcomes, CatalogError> {
        if entries.is_empty() && advances.is_empty() {
            return Ok(Outcomes::default());
        }
        let deadline = Deadline::after(self.clock.as_ref(), APPLY, self.timeout);
        let call = self.cache.apply(&entries, &advances);
        let applied = deadline.bound(call).await?;
        let written = one_for_each(APPLY, entries.len(), applied.entries)?;
        let advanced = one_for_each(APPLY, advances.len(), applied.advances)?;
        let mut next = self.next();
        for (advance, advanced) in advances.iter().zip(&advanced) {
            report_gap(advance, advanced);
            next.insert(advance.partition, ReadFrom::After(advance.upto));
        }
        let skus = entries.into_iter().map(|entry| entry.sku);
        let partitions = advances.iter().map(|advance| advance.partition);
        Ok(Outcomes {
            entries: skus.zip(written).collect(),
            advances: partitions.zip(advanced).collect(),
        })
    }
}

/// The outcome of each SKU's entry and of each partition.
#[derive(Default)]
struct Outcomes {
    entries: HashMap<Sku, CacheWrite>,
    advances: HashMap<u32, Advanced>,
}

#[async_trait]
impl Handler for AvailabilityWorker {
    async fn handle(&self, batch: Batch<'_>) -> Vec<Disposition> {
        let events: Vec<Event> = batch.records.iter().map(Event::read).collect();
        let advances = self.advances(batch, &events);
        match self.apply(newest_entries(&events), advances).await {
            Ok(outcomes) => events
                .iter()
                .map(|event| event.disposition(&outcomes))
                .collect(),
            Err(error) => events
                .iter()
                .map(|event| event.undone(&unavailable(&error)))
                .collect(),
        }
    }
}

/// The content of a record.
enum Event {
    Entry(StockChanged),
    Heartbeat(u32, Completeness),
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
            let reason =
                format!("partition {partition} is beyond the {partitions} of its heartbeat");
            return Self::Malformed(reason);
        }
        let complete = Completeness {
            partitions,
            epoch,
            complete_as_of,
        };
        Self::Heartbeat(partition, complete)
    }

    fn disposition(&self, outcomes: &Outcomes) -> Disposition {
        match self {
            Self::Nothing => Disposition::Done,
            Self::Malformed(reason) => Disposition::DeadLetter {
                reason: reason.clone(),
            },
            Self::Heartbeat(partition, complete) => {
                heard(*partition, complete, outcomes.advances.get(partition))
            }
            Self::Entry(entry) => written(entry, outcomes.entries.get(&entry.sku)),
        }
    }

    /// The disposition when the cache could not be written.
    fn undone(&self, unavailable: &Disposition) -> Disposition {
        match self {
            Self::Nothing => Disposition::Done,
            Self::Malformed(reason) => Disposition::DeadLetter {
                reason: reason.clone(),
            },
            Self::Heartbeat(..) | Self::Entry(_) => unavailable.clone(),
        }
    }
}

/// The newest entry of each SKU; older entries of the batch are dropped.
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

/// The advance of each partition by these records.
fn advances_of(
    records: &[Record],
    events: &[Event],
    next: &HashMap<u32, ReadFrom>,
) -> BTreeMap<u32, Advance> {
    let mut advances: BTreeMap<u32, Advance> = BTreeMap::new();
    let mut incomplete = BTreeSet::new();
    for (record, event) in records.iter().zip(events) {
        let (partition, offset) = (record.position.partition.partition, record.position.offset);
        let advance = advances.entry(partition).or_insert_with(|| {
            let after = next.get(&partition).copied();
            match after.unwrap_or(ReadFrom::Elsewhere) {
                after @ ReadFrom::After(before) => Advance::empty(partition, after, before),
                after => Advance::empty(partition, after, offset),
            }
        });
        // A record that comes again does not take back what was applied after it.
        advance.upto = advance.upto.max(offset);
        match event {
            Event::Malformed(_) => {
                incomplete.insert(partition);
            }
            Event::Heartbeat(_, complete) if !incomplete.contains(&partition) => {
                if complete.decide(advance.complete.as_ref()) == MarkWrite::Stored {
                    advance.complete = Some(*complete);
                }
            }
            Event::Heartbeat(..) | Event::Entry(_) | Event::Nothing => {}
        }
    }
    advances
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

fn heard(partition: u32, complete: &Completeness, outcome: Option<&Advanced>) -> Disposition {
    let kept = match outcome.and_then(|advanced| advanced.complete) {
        Some(MarkWrite::OlderEpoch { kept }) if complete.epoch < kept => kept,
        _ => return Disposition::Done,
    };
    counter!("stockade_availability_older_epochs_total").increment(1);
    let reason = format!(
        "a heartbeat of partition {partition} is of epoch {}, older than the cached {kept}: \
         a relay still publishes a history that has ended",
        complete.epoch
    );
    tracing::error!("{reason}");
    Disposition::DeadLetter { reason }
}

fn report_gap(advance: &Advance, advanced: &Advanced) {
    let Continuity::Gap { upto } = advanced.continuity else {
        return;
    };
    counter!("stockade_availability_gaps_total").increment(1);
    let (partition, after, reached) = (advance.partition, advance.after, upto);
    tracing::warn!(
        partition,
        ?after,
        ?reached,
        "the availability cache misses stock events; pages ask inventory until it is refilled"
    );
}

/// Logs as an error that stock of an ended history was received.
pub(crate) fn report_older_epoch(entry: &StockChanged, cached: Version) -> String {
    let StockChanged { sku, version, .. } = entry;
    counter!("stockade_availability_older_epochs_total").increment(1);
    let reason = format!(
        "{sku} at version {version} is of an older epoch than the cached {cached}: \
         its publisher still publishes a history that has ended"
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
