//! Fills an index with products in the way in which the changes of a shop reach it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use stockade_catalog_core::memory::MemoryCatalog;
use stockade_catalog_core::rows::catalog_changes;
use stockade_catalog_core::{CatalogStore, Expected, ProductType, ProductWrite};
use stockade_change_feed::memory::MemoryFeed;
use stockade_change_feed::{
    Batch, Disposition, Feed, Group, Handler, PollLimits, Record, SubscribeOptions, Subscription,
    SystemClock,
};
use stockade_search_sync::{
    Generation, IndexWriter, Ingest, Projection, SearchError, SearchIndex, SearchQuery, TotalHits,
};

use crate::Entry;

/// How many products are put into the catalogue in one call.
const BATCH: usize = 500;

/// How long after a write the index must show it.
const PATIENCE: Duration = Duration::from_secs(60);

/// The result of filling an index.
#[derive(Clone, Copy, Debug, Default)]
pub struct Filled {
    /// The number of products. Each is one document.
    pub products: u64,
    /// The number of rows of products and variants.
    pub rows: usize,
    /// How long merging and writing took, without creating the rows.
    pub took: Duration,
}

/// Fills an index with products. The row changes that a catalogue publishes for them are merged into
/// documents of a new generation, which is active.
///
/// # Errors
/// Those of the index.
///
/// # Panics
/// If a row is not ingested.
pub async fn fill(
    writer: Arc<dyn IndexWriter>,
    entries: impl IntoIterator<Item = Entry>,
) -> Result<Filled, SearchError> {
    let generation = Generation::new("products-1")?;
    writer.create(&generation, &Projection::catalog()).await?;
    writer.activate(&generation).await?;
    let ingest = Ingest::new(writer, generation, Projection::catalog())?;
    let mut entries = entries.into_iter().peekable();
    let mut filled = Filled::default();
    while entries.peek().is_some() {
        let batch: Vec<_> = entries.by_ref().take(BATCH).collect();
        filled.products += batch.len() as u64;
        let records = row_changes(batch).await;
        let begun = Instant::now();
        for disposition in ingest.handle(Batch::of(&records)).await {
            assert_eq!(disposition, Disposition::Done);
        }
        filled.took += begun.elapsed();
        filled.rows += records.len();
    }
    Ok(filled)
}

/// Waits until a search finds this number of products.
///
/// # Errors
/// Those of the index.
///
/// # Panics
/// If it still finds another number after a minute.
pub async fn until_shown(index: &dyn SearchIndex, products: u64) -> Result<(), SearchError> {
    let begun = Instant::now();
    loop {
        let page = index.search(&SearchQuery::default().with_size(1)).await?;
        if page.total == TotalHits::Exactly(products) {
            return Ok(());
        }
        let waited = begun.elapsed();
        let total = page.total;
        assert!(
            waited < PATIENCE,
            "the index shows {total:?}, not {products}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The row changes that a catalogue in memory publishes for these products: one record for each
/// product and for each variant.
///
/// # Panics
/// If the catalogue refuses a product.
async fn row_changes(entries: Vec<Entry>) -> Vec<Record> {
    let feed = MemoryFeed::new(Arc::new(SystemClock::new())).with_partitions(1);
    let catalog = MemoryCatalog::new().publishing_to(feed.clone(), catalog_changes());
    let types = entries.iter().map(|entry| &entry.content.product_type);
    for name in types.collect::<BTreeSet<_>>() {
        let permissive = ProductType::permissive(name.clone());
        let put = catalog.put_type(&permissive).await;
        put.expect("the catalogue takes the type");
    }
    let write = |entry: Entry| ProductWrite {
        content: entry.content,
        expected: Expected::Any,
    };
    let writes: Vec<_> = entries.into_iter().map(write).collect();
    let outcomes = catalog.put(&writes).await;
    for outcome in outcomes.expect("the catalogue takes products") {
        outcome.expect("the catalogue takes the product");
    }
    let group = Group::new("reader").expect("the constant follows the rule");
    let topics = [catalog_changes()];
    let subscription = feed.subscribe(&group, &topics, SubscribeOptions::default());
    let subscription = subscription.await.expect("the topic is there");
    read_all(subscription).await
}

async fn read_all(mut subscription: Box<dyn Subscription>) -> Vec<Record> {
    let limits = PollLimits {
        wait: Duration::ZERO,
        ..PollLimits::default()
    };
    let mut records = Vec::new();
    loop {
        let polled = subscription.poll(&limits).await.expect("it is in memory");
        if polled.records.is_empty() && polled.gained.is_empty() {
            return records;
        }
        records.extend(polled.records);
    }
}
