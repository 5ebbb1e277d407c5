//! Helpers for cases that write an index.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use stockade_catalog_core::{Product, ProductContent, rows};
use stockade_change_feed::debezium::{self, Change, RowChange, Sequence};
use stockade_change_feed::{
    Batch, Disposition, Handler, Offset, Position, Record, Retry, Timestamp, Topic, TopicPartition,
};
use stockade_inventory_core::{Sku, StockChanged, Version, inventory_updates};
use stockade_search_sync::{
    Document, DocumentId, DocumentWrite, FieldValue, Generation, IndexWriter, Ingest, Loaded,
    Projection, Revision, Row, RowKey, RowVersion, SearchError, View,
};

use super::IndexHarness;

/// How often a write is repeated if it fails for now.
const TRIES: usize = 20;

pub(crate) fn generation(name: &str) -> Generation {
    Generation::new(name).expect("cases use valid names")
}

pub(crate) fn root(key: &str) -> DocumentId {
    DocumentId::Root(key.to_owned())
}

pub(crate) fn row_key(table: &str, key: &str) -> RowKey {
    RowKey {
        table: table.to_owned(),
        key: key.to_owned(),
    }
}

/// A row with these columns; a deleted row if they are not an object.
pub(crate) fn row(version: u128, columns: Value) -> Row {
    Row {
        version: RowVersion(version),
        columns: match columns {
            Value::Object(columns) => Some(columns),
            _ => None,
        },
    }
}

/// The document of a product with only a title.
pub(crate) fn titled(key: &str, title: &str) -> Document {
    let mut document = Document::new(root(key));
    let columns = json!({"title": title, "status": "active"});
    let key = row_key(rows::PRODUCTS, key);
    document.rows.insert(key, row(1, columns));
    document
}

/// The view of such a document.
pub(crate) fn view(title: &str) -> View {
    let title = vec![FieldValue::Text(title.to_owned())];
    let mut view = View::default();
    view.fields.insert("title".to_owned(), title);
    view
}

/// How a write ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WriteOutcome {
    Written,
    Conflict,
    Refused,
}

/// One generation of an index. Its methods fail the case if the index breaks a basic rule.
#[derive(Clone)]
pub(crate) struct TestIndex {
    pub(crate) writer: Arc<dyn IndexWriter>,
    pub(crate) generation: Generation,
}

impl TestIndex {
    pub(crate) fn new(writer: Arc<dyn IndexWriter>) -> Self {
        let generation = generation("books-1");
        Self { writer, generation }
    }

    /// The index of a harness, with an active generation.
    pub(crate) async fn open(harness: &impl IndexHarness) -> Self {
        let index = Self::new(harness.writer());
        index.create().await;
        index.activate().await;
        index
    }

    /// The same index, with another generation.
    pub(crate) fn with(&self, name: &str) -> Self {
        Self {
            writer: self.writer.clone(),
            generation: generation(name),
        }
    }

    pub(crate) async fn create(&self) {
        let projection = Projection::catalog();
        let created = self.writer.create(&self.generation, &projection).await;
        created.unwrap_or_else(|error| panic!("creating {} failed: {error}", self.generation));
    }

    pub(crate) async fn activate(&self) {
        let activated = self.writer.activate(&self.generation).await;
        activated.unwrap_or_else(|error| panic!("activating {} failed: {error}", self.generation));
    }

    pub(crate) async fn load_all(&self, ids: &[DocumentId]) -> Vec<Loaded> {
        let loaded = self.writer.load(&self.generation, ids).await;
        let loaded = loaded.unwrap_or_else(|error| panic!("load failed: {error}"));
        assert_eq!(loaded.len(), ids.len(), "each id has an answer");
        let each = ids.iter().zip(loaded).map(|(id, loaded)| {
            let loaded = loaded.unwrap_or_else(|error| panic!("loading {id} failed: {error}"));
            assert_eq!(loaded.document.id, *id, "answers are in order");
            loaded
        });
        each.collect()
    }

    pub(crate) async fn load(&self, id: &DocumentId) -> Loaded {
        self.load_all(std::slice::from_ref(id)).await.remove(0)
    }

    /// Makes one call with these writes.
    pub(crate) async fn write_all(
        &self,
        writes: Vec<DocumentWrite>,
    ) -> Vec<Result<(), SearchError>> {
        let count = writes.len();
        let outcomes = self.writer.write(&self.generation, writes).await;
        let outcomes = outcomes.unwrap_or_else(|error| panic!("write failed: {error}"));
        assert_eq!(outcomes.len(), count, "each write has an outcome");
        outcomes
    }

    /// Writes a document. The write is repeated while it fails for now.
    pub(crate) async fn write(&self, write: &DocumentWrite) -> WriteOutcome {
        let id = &write.document.id;
        for _ in 0..TRIES {
            let error = match self.write_all(vec![write.clone()]).await.remove(0) {
                Ok(()) => return WriteOutcome::Written,
                Err(SearchError::Conflict { document }) => {
                    assert_eq!(document, *id, "the conflict names the document");
                    return WriteOutcome::Conflict;
                }
                Err(SearchError::Refused { document, .. }) => {
                    assert_eq!(document, *id, "the refusal names the document");
                    return WriteOutcome::Refused;
                }
                Err(error) => error,
            };
            match error.retry() {
                Retry::After(pause) => tokio::time::sleep(pause).await,
                other => panic!("writing {id} failed, {other:?}: {error}"),
            }
        }
        panic!("writing {id} failed for now, {TRIES} times");
    }

    /// Replaces a document, which must succeed, and returns its new revision.
    pub(crate) async fn put(&self, document: &Document, view: Option<View>) -> Revision {
        let expected = self.load(&document.id).await.revision;
        let document = document.clone();
        let write = DocumentWrite {
            document,
            view,
            expected,
        };
        let (id, outcome) = (write.document.id.clone(), self.write(&write).await);
        assert_eq!(outcome, WriteOutcome::Written, "writing {id}");
        self.load(&id).await.revision
    }

    /// A worker that ingests rows and stock into this generation.
    pub(crate) fn ingest(&self) -> Ingest {
        let (writer, generation) = (self.writer.clone(), self.generation.clone());
        let ingest = Ingest::new(writer, generation, Projection::catalog());
        ingest.unwrap_or_else(|error| panic!("the projection of the catalogue is valid: {error}"))
    }

    /// Lets a worker handle records until they are done.
    pub(crate) async fn handle(&self, records: &[Record]) {
        let ingest = self.ingest();
        let mut left = records.to_vec();
        for _ in 0..TRIES {
            let dispositions = ingest.handle(Batch::of(&left)).await;
            let mut again = Vec::new();
            let mut wait = Duration::ZERO;
            for (record, disposition) in left.into_iter().zip(dispositions) {
                match disposition {
                    Disposition::Done => {}
                    Disposition::Retry { .. } => again.push(record),
                    Disposition::Unavailable { retry_after, .. } => {
                        again.push(record);
                        wait = retry_after;
                    }
                    Disposition::DeadLetter { reason } => {
                        panic!("a record of the catalogue was dead-lettered: {reason}")
                    }
                }
            }
            if again.is_empty() {
                return;
            }
            tokio::time::sleep(wait).await;
            left = again;
        }
        panic!("{} records were never done", left.len());
    }

    /// The view of a product, computed from its stored rows.
    pub(crate) async fn view_of(&self, key: &str) -> Option<View> {
        let document = self.load(&root(key)).await.document;
        let view = Projection::catalog().view(&document);
        view.unwrap_or_else(|error| panic!("the rows of {key} have no view: {error}"))
    }
}

/// The records of a product that is created at this version.
pub(crate) fn records(content: &ProductContent, version: u64) -> Vec<Record> {
    let product = Product::new(content.clone(), version);
    let mut changes = vec![(rows::PRODUCTS, rows::product_row(&product))];
    for (position, variant) in content.variants.iter().enumerate() {
        let row = rows::variant_row(&content.id, position, variant, version);
        changes.push((rows::VARIANTS, row));
    }
    let created = |(table, after)| changed(content, table, Change::Create { after });
    changes.into_iter().map(created).collect()
}

/// The records of its deletion, with each row as it was last written.
pub(crate) fn deletion(content: &ProductContent, version: u64) -> Vec<Record> {
    let product = Product::new(content.clone(), version);
    let mut changes = Vec::new();
    for (position, variant) in content.variants.iter().enumerate() {
        let row = rows::variant_row(&content.id, position, variant, version);
        changes.push((rows::VARIANTS, row));
    }
    changes.push((rows::PRODUCTS, rows::product_row(&product)));
    let deleted = |(table, before)| changed(content, table, Change::Delete { before });
    changes.into_iter().map(deleted).collect()
}

fn changed(content: &ProductContent, table: &str, change: Change) -> Record {
    let row = RowChange {
        schema: rows::SCHEMA.to_owned(),
        table: table.to_owned(),
        change,
        sequence: Sequence::default(),
        timestamp: Timestamp::EPOCH,
    };
    let value = debezium::encode(&row);
    record(rows::catalog_changes(), rows::key(&content.id), value)
}

/// The record of a stock event: the available units of a SKU, at a version.
pub(crate) fn stock(of: &str, available: u64, number: u64) -> Record {
    let sku = Sku::new(of).expect("cases use valid SKUs");
    let version = Version::new(0, number);
    let changed = StockChanged::new(sku, available, version, Timestamp::EPOCH);
    let message = changed.to_message();
    let (key, value) = (message.key, message.value);
    let key = key.expect("the key of a stock event is its SKU");
    let value = value.expect("a stock event has a body");
    record(inventory_updates(), key, value)
}

/// A record of a topic. Its position in the log does not matter to the handler.
pub(crate) fn record(topic: Topic, key: bytes::Bytes, value: bytes::Bytes) -> Record {
    let position = Position {
        partition: TopicPartition::new(topic, 0),
        offset: Offset(0),
        timestamp: Timestamp::EPOCH,
    };
    Record::new(position)
        .with_key(Some(key))
        .with_value(Some(value))
}
