//! From records of a change feed to documents of an index.

mod job;
mod settle;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use metrics::counter;
use stockade_change_feed::{Batch, Disposition, Handler, Record, Topic, debezium};
use stockade_inventory_core::{StockEvent, inventory_updates};
use tracing::{instrument, warn};

use self::job::{Edits, Job};
use crate::document::{Document, DocumentId};
use crate::error::SearchError;
use crate::index::{Generation, IndexWriter, WriteConcurrency};
use crate::projection::{Projection, RowVersionSource};
use crate::rows::Edit;
use crate::stock;

/// Records of tables and of stock that asked for something, by `source`.
pub const ROWS: &str = "stockade_search_rows_total";
/// Records of tables that the projection does not name.
pub const IGNORED: &str = "stockade_search_ignored_total";
/// Documents written.
pub const WRITTEN: &str = "stockade_search_documents_written_total";
/// Writes that met another writer's, and were merged again.
pub const CONFLICTS: &str = "stockade_search_conflicts_total";
/// Documents to be written without some of their values, because they have too many.
pub const CUT: &str = "stockade_search_documents_cut_total";
/// Records that can never succeed.
pub const DEAD_LETTERS: &str = "stockade_search_dead_letters_total";
/// Stock events of an older epoch than one seen before: inventory was restored, and something
/// still publishes from the time before.
pub const STALE_EPOCHS: &str = "stockade_search_stale_epochs_total";

/// A handler that merges row changes and stock into the documents of one generation.
///
/// - A record is done once all that it asks for is durable in the index. Any record may come
///   again, late, or at another worker at the same time.
/// - What can never succeed is dead-lettered alone: records of the same document are merged
///   without it.
/// - Where a document can not be written for now, the records that ask for it are unavailable,
///   and those of other documents are done. Where the index fails as a whole, all are.
/// - Records of other tables, heartbeats and tombstones are done at once.
///
/// A record of stock, or of a row that owns it, first goes into the document of its SKU. What is
/// then found there is carried to the owner: so of two writers that race, the second sees what
/// the first one knew, and a replay after a crash in between completes it.
pub struct Ingest {
    writer: Arc<dyn IndexWriter>,
    generation: Generation,
    projection: Projection,
    stock_topic: Topic,
    bulk: NonZeroUsize,
    timeout: Duration,
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
    /// [`SearchError::Invalid`] for a projection that makes no sense.
    pub fn new(
        writer: Arc<dyn IndexWriter>,
        generation: Generation,
        projection: Projection,
    ) -> Result<Self, SearchError> {
        projection.validate()?;
        if writer.concurrency() == WriteConcurrency::SingleWriter {
            warn!(%generation, "this index compares no revisions: see to it that nobody else writes");
        }
        Ok(Self {
            writer,
            generation,
            projection,
            stock_topic: inventory_updates(),
            bulk: NonZeroUsize::new(200).expect("200 is not 0"),
            timeout: Duration::from_secs(30),
        })
    }

    /// With stock events from this topic, rather than from `inventory_updates`. All other topics
    /// are taken to be row changes.
    #[must_use]
    pub fn with_stock_topic(mut self, topic: Topic) -> Self {
        self.stock_topic = topic;
        self
    }

    /// With at most so many documents loaded and written at once, rather than 200.
    #[must_use]
    pub fn with_bulk(mut self, documents: NonZeroUsize) -> Self {
        self.bulk = documents;
        self
    }

    /// With so long for each call of the index, rather than 30 s: then the records that wait for
    /// it are unavailable. What was being written may have taken effect, and is found when they
    /// come again.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// What a record asks for.
    fn edits(&self, record: &Record) -> Result<Vec<Edit>, SearchError> {
        if record.position.partition.topic == self.stock_topic {
            return Ok(match StockEvent::from_record(record)? {
                Some(StockEvent::Changed(changed)) if self.projection.stock.is_some() => {
                    counter!(ROWS, "source" => "stock").increment(1);
                    vec![stock::seen(&changed)]
                }
                _ => Vec::new(),
            });
        }
        let Some(change) = debezium::decode(record.value.as_ref())? else {
            return Ok(Vec::new());
        };
        if self
            .projection
            .table(&change.schema, &change.table)
            .is_none()
        {
            counter!(IGNORED).increment(1);
            return Ok(Vec::new());
        }
        counter!(ROWS, "source" => "table").increment(1);
        self.projection.edits(&change)
    }

    /// What SKUs' documents carry to the documents of their owners.
    fn carried(&self, skus: &BTreeMap<DocumentId, Document>, asked: &Edits) -> Edits {
        let mut carried = Edits::new();
        let Some(stock) = &self.projection.stock else {
            return carried;
        };
        for (id, document) in skus {
            let records = asked
                .get(id)
                .into_iter()
                .flatten()
                .map(|(record, _)| *record);
            if let Some(edit) = stock::carried(document, &stock.table) {
                let edits: &mut Vec<_> = carried.entry(edit.document.clone()).or_default();
                edits.extend(records.map(|record| (record, edit.clone())));
            }
        }
        carried
    }

    /// Whether tables can be truncated, so that each document has to heed it.
    fn heeds_truncations(&self) -> bool {
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
        // Truncations before the rows that have to heed them, and SKUs before their owners.
        let truncations = job.take(|id| matches!(id, DocumentId::Truncation(_)));
        self.settle(truncations.clone(), &mut job).await;
        let asked = job.take(|id| matches!(id, DocumentId::Sku(_)));
        let skus = self.settle(asked.clone(), &mut job).await;
        job.extend(self.carried(&skus, &asked));
        let roots = job.take(|id| matches!(id, DocumentId::Root(_)));
        self.settle(roots, &mut job).await;
        let truncations = job.unfailed(truncations);
        if !truncations.is_empty() {
            self.sweep(&truncations, &mut job).await;
        }
        job.dispositions(records)
    }
}

#[cfg(test)]
mod tests;
