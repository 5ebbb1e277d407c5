//! Merges the records of a change feed into the documents of an index.

mod job;
mod settle;
mod telemetry;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use metrics::counter;
use stockade_change_feed::time::{Clock, SystemClock};
use stockade_change_feed::{Batch, Disposition, Handler, Record, Topic, debezium};
use stockade_inventory_core::{StockEvent, inventory_updates};
use tracing::{instrument, warn};

use self::job::{Documents, Edits, Job};
use crate::document::{DocumentId, RowEdit};
use crate::error::SearchError;
use crate::index::{Generation, IndexWriter, WriteConcurrency};
use crate::projection::{Projection, RowVersionSource, stock};

pub use telemetry::{CONFLICTS, CUT, DEAD_LETTERS, IGNORED, ROWS, STALE_EPOCHS, WRITTEN};

/// A [`Handler`] that merges row changes and stock events into the documents of one generation.
///
/// - A record is done when all its changes are durable in the index. A record may be handled
///   again, late, or by another worker at the same time.
/// - A record that can never succeed is dead-lettered alone. Other records of the same document
///   are merged without it.
/// - If a document can't be written now, the records that change it are unavailable. Records of
///   other documents are done. If the index fails as a whole, all records are unavailable.
/// - Records of other tables, heartbeats and tombstones are done at once.
///
/// A stock event, or a row that owns a SKU, is first merged into the document of the SKU. Then the
/// stock in that document is copied to the document of its owner. So of two concurrent writers, the
/// second one sees the change of the first, and a replay completes the work after a crash.
///
/// ```
/// use std::sync::Arc;
///
/// use stockade_change_feed::memory::MemoryFeed;
/// use stockade_change_feed::{Consumer, Group, SystemClock, Topic};
/// use stockade_search_sync::memory::MemoryIndex;
/// use stockade_search_sync::{Generation, IndexWriter, Ingest, Projection};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let feed = MemoryFeed::new(Arc::new(SystemClock::new()));
/// let index = Arc::new(MemoryIndex::new());
/// let generation = Generation::new("products-1")?;
/// index.create(&generation, &Projection::catalog()).await?;
///
/// let ingest = Ingest::new(index, generation, Projection::catalog())?;
/// let topics = vec![Topic::new("catalog_changes")?, Topic::new("inventory_updates")?];
/// let group = Group::new("products-1")?;
/// let consumer = Consumer::new(Arc::new(feed), group, topics, Arc::new(ingest));
/// # let shutdown = std::future::ready(());
/// consumer.run(shutdown).await?; // until `shutdown` completes
/// # Ok(())
/// # }
/// ```
pub struct Ingest {
    writer: Arc<dyn IndexWriter>,
    generation: Generation,
    projection: Projection,
    stock_topic: Topic,
    bulk: NonZeroUsize,
    timeout: Duration,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Ingest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ingest")
            .field("generation", &self.generation)
            .field("stock_topic", &self.stock_topic)
            .field("bulk", &self.bulk)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl Ingest {
    /// A handler for a generation that exists, with the projection that it was created for.
    ///
    /// # Errors
    /// [`SearchError::Invalid`] for a projection that is not usable.
    pub fn new(
        writer: Arc<dyn IndexWriter>,
        generation: Generation,
        projection: Projection,
    ) -> Result<Self, SearchError> {
        projection.validate()?;
        if writer.concurrency() == WriteConcurrency::SingleWriter {
            warn!(%generation, "this index does not compare revisions; run one writer only");
        }
        Ok(Self {
            writer,
            generation,
            projection,
            stock_topic: inventory_updates(),
            bulk: NonZeroUsize::new(200).expect("200 is not 0"),
            timeout: Duration::from_secs(30),
            clock: Arc::new(SystemClock::new()),
        })
    }

    /// Sets the topic of stock events (`inventory_updates`). All other topics are taken to be row
    /// changes.
    #[must_use]
    pub fn with_stock_topic(mut self, topic: Topic) -> Self {
        self.stock_topic = topic;
        self
    }

    /// Sets the most documents that are loaded and written in one call (200).
    #[must_use]
    pub fn with_bulk(mut self, documents: NonZeroUsize) -> Self {
        self.bulk = documents;
        self
    }

    /// Sets the deadline of each call to the index (30 s). After it, the records that wait for the
    /// call are unavailable. Writes may have taken effect; the next attempt loads them.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the clock (the machine's).
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The changes that a record makes.
    fn edits(&self, record: &Record) -> Result<Vec<RowEdit>, SearchError> {
        if record.position.partition.topic == self.stock_topic {
            return Ok(match StockEvent::from_record(record)? {
                Some(StockEvent::Changed(changed)) if self.projection.stock.is_some() => {
                    counter!(ROWS, "source" => "stock").increment(1);
                    vec![stock::event(&changed)]
                }
                _ => Vec::new(),
            });
        }
        let Some(change) = debezium::decode(record.value.as_ref())? else {
            return Ok(Vec::new());
        };
        let edits = self.projection.edits(&change)?;
        if edits.is_empty() {
            counter!(IGNORED).increment(1);
        } else {
            counter!(ROWS, "source" => "table").increment(1);
        }
        Ok(edits)
    }

    /// Adds the changes that the documents of SKUs make to the documents of their owners, for the
    /// records that changed the SKUs.
    fn add_for_owners(&self, skus: &Documents, of_skus: &Edits, job: &mut Job) {
        let Some(stock) = &self.projection.stock else {
            return;
        };
        for (id, document) in skus {
            if let Some(edit) = stock::for_owner(document, &stock.table) {
                for (record, _) in of_skus.get(id).into_iter().flatten() {
                    job.add(*record, [edit.clone()]);
                }
            }
        }
    }

    /// Whether tables can be truncated: then every root document must apply truncations.
    fn applies_truncations(&self) -> bool {
        self.projection.root.version == RowVersionSource::LogSequence
    }
}

#[async_trait]
impl Handler for Ingest {
    #[instrument(skip_all, fields(generation = %self.generation, records = batch.records.len()))]
    async fn handle(&self, batch: Batch<'_>) -> Vec<Disposition> {
        let records = batch.records;
        let mut job = Job::new(records.len());
        for (at, record) in records.iter().enumerate() {
            match self.edits(record) {
                Ok(edits) => job.add(at, edits),
                Err(error) => job.dead_letter(at, error.to_string()),
            }
        }
        // Truncations before the rows that they may delete, and SKUs before their owners.
        let truncations = job.take(|id| matches!(id, DocumentId::Truncation(_)));
        self.settle(truncations.clone(), &mut job).await;
        let of_skus = job.take(|id| matches!(id, DocumentId::Sku(_)));
        let skus = self.settle(of_skus.clone(), &mut job).await;
        self.add_for_owners(&skus, &of_skus, &mut job);
        let roots = job.take(|id| matches!(id, DocumentId::Root(_)));
        self.settle(roots, &mut job).await;
        let truncations = job.unfailed(truncations);
        if !truncations.is_empty() {
            self.apply_truncations(&truncations, &mut job).await;
        }
        job.dispositions(records)
    }
}

#[cfg(test)]
mod tests;
