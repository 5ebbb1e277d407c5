//! Records, and what is found of them.

use super::*;

pub(super) fn generation() -> Generation {
    Generation::new("g").unwrap()
}

pub(super) fn log_ordered() -> Projection {
    let mut projection = Projection::catalog();
    projection.root.version = RowVersionSource::LogSequence;
    projection.children[0].version = RowVersionSource::LogSequence;
    projection
}

pub(super) async fn setup() -> (Arc<Scripted>, Ingest) {
    let index = Scripted::new(&Projection::catalog()).await;
    let ingest = ingest(&index);
    (index, ingest)
}

pub(super) fn ingest(index: &Arc<Scripted>) -> Ingest {
    Ingest::new(index.clone(), generation(), Projection::catalog()).unwrap()
}

pub(super) fn record(topic: &str, message: Message) -> Record {
    let position = Position {
        partition: TopicPartition::new(Topic::new(topic).unwrap(), 0),
        offset: Offset(0),
        timestamp: Timestamp::EPOCH,
    };
    let record = Record::new(position).with_key(message.key);
    record
        .with_value(message.value)
        .with_headers(message.headers)
}

pub(super) fn raw(value: &'static str) -> Record {
    record("catalog", Message::keyed("k", value))
}

pub(super) fn change_at(table: &str, change: Change, lsn: u64) -> Record {
    let change = RowChange {
        schema: "catalog".to_owned(),
        table: table.to_owned(),
        change,
        sequence: Sequence {
            last_commit: Some(lsn),
            lsn: Some(lsn),
        },
        timestamp: Timestamp::EPOCH,
    };
    record("catalog", Message::keyed("k", encode(&change)))
}

pub(super) fn change(table: &str, change: Change) -> Record {
    change_at(table, change, 1)
}

pub(super) fn columns(value: &Value) -> Columns {
    value.as_object().unwrap().clone()
}

pub(super) fn product_row(version: u64) -> Columns {
    let title = format!("Tee {version}");
    columns(&json!({"product_id": "p", "title": title, "status": "active", "version": version}))
}

pub(super) fn variant_row(sku: &str, product: &str, version: u64) -> Columns {
    columns(&json!({"sku": sku, "product_id": product, "version": version}))
}

pub(super) fn product(version: u64) -> Record {
    let after = product_row(version);
    change("products", Change::Create { after })
}

pub(super) fn variant(sku: &str, version: u64) -> Record {
    let after = variant_row(sku, "p", version);
    change("variants", Change::Create { after })
}

pub(super) fn deleted(table: &str, before: Columns) -> Record {
    change(table, Change::Delete { before })
}

pub(super) fn stock(sku: &str, count: u64, number: u64) -> Record {
    let version = Version::new(0, number);
    let changed = StockChanged::new(Sku::new(sku).unwrap(), count, version, Timestamp::EPOCH);
    record("inventory_updates", changed.to_message())
}

pub(super) async fn done(ingest: &Ingest, records: &[Record]) {
    for ended in ingest.handle(Batch::of(records)).await {
        assert_eq!(ended, Disposition::Done);
    }
}

/// The values of a field of the one document, or nothing if it is not found.
pub(super) async fn shown(index: &Scripted, field: &str) -> Vec<String> {
    let page = index.inner.search(&SearchQuery::default()).await.unwrap();
    let hits = page.hits.iter();
    let values = hits.flat_map(|hit| hit.view.fields.get(field).into_iter().flatten());
    values.map(ToString::to_string).collect()
}

pub(super) fn root() -> DocumentId {
    DocumentId::Root("p".to_owned())
}

pub(super) fn sku(name: &str) -> DocumentId {
    DocumentId::Sku(name.to_owned())
}
