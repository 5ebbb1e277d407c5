//! The stock of a search index: all of it once, and every change.

use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use async_trait::async_trait;
use stockade_change_feed::{
    Batch, Disposition, Handler, Offset, Position, Record, Timestamp, Topic, TopicPartition,
};
use stockade_inventory_core::{Cursor, StockChanged, StockSource};
use stockade_search_sync::Ingest;
use tokio::sync::Notify;

const PAGE: NonZeroUsize = NonZeroUsize::new(250).expect("it is not 0");
/// The pause after a page that failed.
const PAUSE: Duration = Duration::from_secs(1);

/// Merges stock events into an index. They are followed from the newest on, so a scan of inventory
/// has to fill in what was published before.
pub(super) struct StockIngest {
    pub(super) ingest: Arc<Ingest>,
    /// Told when events of further partitions are followed: a scan that begins afterwards misses
    /// none.
    pub(super) followed: Arc<Notify>,
}

#[async_trait]
impl Handler for StockIngest {
    async fn handle(&self, batch: Batch<'_>) -> Vec<Disposition> {
        if !batch.beginnings.is_empty() {
            self.followed.notify_one();
        }
        self.ingest.handle(batch).await
    }
}

/// Reads all stock of the inventory service, and merges it into an index: at the start, and when
/// events of further partitions are followed. The index keeps the higher version, so events that
/// come meanwhile do no harm.
pub(super) struct Fill {
    pub(super) source: Arc<dyn StockSource>,
    pub(super) ingest: Arc<Ingest>,
    pub(super) followed: Arc<Notify>,
    pub(super) topic: Topic,
}

impl Fill {
    /// Runs until `stop` is ready.
    pub(super) async fn run(self, stop: impl Future<Output = ()> + Send) {
        let work = async {
            loop {
                self.scan().await;
                self.followed.notified().await;
            }
        };
        tokio::select! {
            () = stop => {}
            () = work => {}
        }
    }

    /// Merges all pages. A page that fails is read again.
    async fn scan(&self) {
        let mut after = None;
        loop {
            match self.page(after.as_ref()).await {
                Ok(Some(next)) => after = Some(next),
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(%error, "stock can't be read for search; trying again");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    /// Merges a page, and returns where the next one begins.
    async fn page(&self, after: Option<&Cursor>) -> anyhow::Result<Option<Cursor>> {
        let page = self.source.scan(after, PAGE).await?;
        let records: Vec<Record> = page
            .stock
            .iter()
            .map(|stock| self.record(&StockChanged::from(stock)))
            .collect();
        let merged = self.ingest.handle(Batch::of(&records)).await;
        let failed = merged.iter().find(|one| **one != Disposition::Done);
        ensure!(failed.is_none(), "the index did not take it: {failed:?}");
        Ok(page.next)
    }

    /// The event of a SKU, as if it had been read from the log.
    fn record(&self, changed: &StockChanged) -> Record {
        let message = changed.to_message();
        let mut record = Record::new(Position {
            partition: TopicPartition::new(self.topic.clone(), 0),
            offset: Offset(0),
            timestamp: Timestamp::EPOCH,
        });
        record.key = message.key;
        record.value = message.value;
        record
    }
}
