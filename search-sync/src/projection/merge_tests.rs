use proptest::prelude::*;
use serde_json::{Value, json};
use stockade_change_feed::Timestamp;
use stockade_change_feed::debezium::{Change, Columns, RowChange, Sequence, UNAVAILABLE};
use stockade_inventory_core::{Sku, StockChanged, Version};

use super::*;
use crate::document::View;
use crate::error::SearchError;
use crate::projection::RowVersionSource;

type Documents = BTreeMap<DocumentId, Document>;

/// What happens to a database.
#[derive(Clone, Debug)]
enum Step {
    PutProduct(u8),
    DeleteProduct(u8),
    PutVariant(u8, u8),
    DeleteVariant(u8),
    Snapshot,
    Truncate,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..2u8).prop_map(Step::PutProduct),
        2 => (0..2u8).prop_map(Step::DeleteProduct),
        5 => (0..3u8, 0..2u8).prop_map(|(sku, product)| Step::PutVariant(sku, product)),
        2 => (0..3u8).prop_map(Step::DeleteVariant),
        1 => Just(Step::Snapshot),
        1 => Just(Step::Truncate),
    ]
}

/// A database with the catalogue's tables, and what a change feed sees of it.
#[derive(Default)]
struct Database {
    products: BTreeMap<u8, Columns>,
    variants: BTreeMap<u8, Columns>,
    changes: Vec<RowChange>,
    version: u64,
}

impl Database {
    /// Snapshots are taken only if versions are a column, truncations only if not.
    fn after(steps: &[Step], versions: &RowVersionSource) -> Self {
        let column = matches!(versions, RowVersionSource::Column(_));
        let mut database = Self::default();
        for step in steps {
            match step {
                Step::Snapshot if column => database.snapshot(),
                Step::Truncate if !column => database.truncate(),
                Step::Snapshot | Step::Truncate => {}
                Step::PutProduct(id) => database.put_product(*id),
                Step::DeleteProduct(id) => database.delete_product(*id),
                Step::PutVariant(sku, id) => database.put_variant(*sku, *id),
                Step::DeleteVariant(sku) => database.delete_variant(*sku),
            }
        }
        database
    }

    fn put_product(&mut self, id: u8) {
        self.version += 1;
        let after = product(id, self.version);
        let before = self.products.insert(id, after.clone());
        self.emit("products", put(before, after));
    }

    fn delete_product(&mut self, id: u8) {
        let Some(before) = self.products.remove(&id) else {
            return;
        };
        self.emit("products", Change::Delete { before });
        let name = json!(format!("p{id}"));
        let variants = self.variants.iter();
        let owned = variants.filter(|(_, row)| row["product_id"] == name);
        for sku in owned.map(|(sku, _)| *sku).collect::<Vec<_>>() {
            self.delete_variant(sku);
        }
    }

    fn put_variant(&mut self, sku: u8, id: u8) {
        if self.products.contains_key(&id) {
            self.version += 1;
            let after = variant(sku, id, self.version);
            let before = self.variants.insert(sku, after.clone());
            self.emit("variants", put(before, after));
        }
    }

    fn delete_variant(&mut self, sku: u8) {
        if let Some(before) = self.variants.remove(&sku) {
            self.emit("variants", Change::Delete { before });
        }
    }

    fn snapshot(&mut self) {
        for after in self.products.values().cloned().collect::<Vec<_>>() {
            self.emit("products", Change::Read { after });
        }
        for after in self.variants.values().cloned().collect::<Vec<_>>() {
            self.emit("variants", Change::Read { after });
        }
    }

    fn truncate(&mut self) {
        self.products.clear();
        self.variants.clear();
        self.emit("variants", Change::Truncate);
        self.emit("products", Change::Truncate);
    }

    fn emit(&mut self, table: &str, change: Change) {
        let lsn = self.changes.len() as u64 + 1;
        let sequence = Sequence {
            last_commit: Some(lsn),
            lsn: Some(lsn),
        };
        self.changes.push(change_of(table, change, sequence));
    }

    /// What should be found: the SKUs of each product.
    fn shown(&self) -> BTreeMap<String, Vec<String>> {
        let skus = |id: &u8| {
            let name = json!(format!("p{id}"));
            let variants = self.variants.iter();
            let owned = variants.filter(|(_, row)| row["product_id"] == name);
            owned.map(|(sku, _)| format!("s{sku}")).collect()
        };
        let products = self.products.keys();
        products.map(|id| (format!("p{id}"), skus(id))).collect()
    }
}

fn put(before: Option<Columns>, after: Columns) -> Change {
    match before {
        Some(before) => Change::Update {
            before: Some(before),
            after,
        },
        None => Change::Create { after },
    }
}

fn change_of(table: &str, change: Change, sequence: Sequence) -> RowChange {
    RowChange {
        schema: "catalog".to_owned(),
        table: table.to_owned(),
        change,
        sequence,
        timestamp: Timestamp::EPOCH,
    }
}

fn columns(value: &Value) -> Columns {
    value.as_object().unwrap().clone()
}

fn product(id: u8, version: u64) -> Columns {
    columns(&json!({
        "product_id": format!("p{id}"), "slug": format!("slug-{id}"),
        "title": format!("title at {version}"), "status": "active", "version": version,
    }))
}

fn variant(sku: u8, id: u8, version: u64) -> Columns {
    columns(&json!({
        "sku": format!("s{sku}"), "product_id": format!("p{id}"),
        "attributes": format!("{{\"at\": {version}}}"), "version": version,
    }))
}

fn catalog(versions: &RowVersionSource) -> Projection {
    let mut projection = Projection::catalog();
    projection.root.version = versions.clone();
    projection.children[0].version = versions.clone();
    projection
}

fn sources() -> [RowVersionSource; 2] {
    let column = RowVersionSource::Column("version".to_owned());
    [column, RowVersionSource::LogSequence]
}

fn merge_all(projection: &Projection, changes: &[RowChange]) -> Documents {
    let mut documents = Documents::new();
    for change in changes {
        for edit in projection.edits(change).unwrap() {
            merge_one(projection, &mut documents, &edit);
        }
    }
    documents
}

fn merge_one(projection: &Projection, documents: &mut Documents, edit: &RowEdit) {
    let entry = |id: &DocumentId| Document::new(id.clone());
    let id = &edit.document;
    let document = documents.entry(id.clone()).or_insert_with(|| entry(id));
    projection.merge(document, edit);
    let truncations = documents.iter();
    let truncations = truncations.filter(|(id, _)| matches!(id, DocumentId::Truncation(_)));
    let truncated = truncations
        .filter_map(|(_, document)| truncation(document))
        .collect();
    let is_root = |id: &DocumentId| matches!(id, DocumentId::Root(_));
    for (_, document) in documents.iter_mut().filter(|(id, _)| is_root(id)) {
        projection.truncate(document, &truncated);
    }
}

fn view(projection: &Projection, document: &Document) -> Option<View> {
    projection.view(document).unwrap()
}

fn shown(projection: &Projection, documents: &Documents) -> BTreeMap<String, Vec<String>> {
    let mut shown = BTreeMap::new();
    for (id, document) in documents {
        if let (DocumentId::Root(key), Some(view)) = (id, view(projection, document)) {
            let skus = view.fields.get("sku").into_iter().flatten();
            shown.insert(key.clone(), skus.map(ToString::to_string).collect());
        }
    }
    shown
}

/// Steps, the changes that are repeated, and the seed for their order.
fn replayed() -> impl Strategy<Value = (Vec<Step>, Vec<prop::sample::Index>, u64)> {
    let steps = prop::collection::vec(step(), 1..25);
    let again = prop::collection::vec(any::<prop::sample::Index>(), 0..10);
    (steps, again, any::<u64>())
}

fn shuffle<T>(items: &mut [T], mut seed: u64) {
    for at in (1..items.len()).rev() {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        items.swap(at, usize::try_from(seed >> 33).unwrap() % (at + 1));
    }
}

proptest! {
    #[test]
    fn order_and_repetition_do_not_matter((steps, again, seed) in replayed()) {
        for versions in sources() {
            let projection = catalog(&versions);
            let database = Database::after(&steps, &versions);
            let mut changes = database.changes.clone();
            let in_order = merge_all(&projection, &changes);
            prop_assert_eq!(shown(&projection, &in_order), database.shown());

            if !changes.is_empty() {
                let repeated = again.iter().map(|index| index.get(&database.changes).clone());
                changes.extend(repeated);
            }
            shuffle(&mut changes, seed);
            prop_assert_eq!(merge_all(&projection, &changes), in_order);
        }
    }

    /// A writer first merges into the SKU's document, and later copies the stock from there to the
    /// owner. The owner gets the newest state, no matter how the steps of several writers are
    /// interleaved.
    #[test]
    fn the_owner_gets_the_newest_stock_in_any_interleaving(
        owners in prop::collection::vec(prop::option::of(0..2u8), 1..6),
        counts in prop::collection::vec(0..2u64, 1..8),
        seed: u64,
    ) {
        let projection = Projection::catalog();
        let table = &projection.children[0];
        let mut writers: Vec<Vec<RowEdit>> = Vec::new();
        let mut current: Option<Columns> = None;
        for (version, owner) in (1..).zip(&owners) {
            let next = owner.map(|id| variant(0, id, version));
            let change = match (current.take(), next.clone()) {
                (Some(before), None) => Change::Delete { before },
                (before, Some(after)) => put(before, after),
                (None, None) => continue,
            };
            current = next;
            let change = change_of("variants", change, Sequence::default());
            writers.push(projection.edits(&change).unwrap());
        }
        for (number, count) in (1..).zip(&counts) {
            writers.push(vec![stock::event(&stock_of(*count, Version::new(0, number)))]);
        }
        let mut documents = Documents::new();
        for id in 0..2 {
            let change = Change::Create { after: product(id, 100) };
            let change = change_of("products", change, Sequence::default());
            let edits = projection.edits(&change).unwrap();
            edits.iter().for_each(|edit| merge_one(&projection, &mut documents, edit));
        }

        // Each writer's two steps, in any order that keeps the first before the second.
        let mut turns: Vec<usize> = (0..writers.len()).flat_map(|at| [at, at]).collect();
        shuffle(&mut turns, seed);
        let mut for_owner = vec![None; writers.len()];
        for turn in turns {
            let is_sku = |edit: &&RowEdit| matches!(edit.document, DocumentId::Sku(_));
            if for_owner[turn].is_none() {
                for edit in writers[turn].iter().filter(is_sku) {
                    merge_one(&projection, &mut documents, edit);
                }
                let sku = &documents[&DocumentId::Sku("s0".to_owned())];
                for_owner[turn] = Some(stock::for_owner(sku, &table.name));
            } else {
                let own = writers[turn].iter().filter(|edit| !is_sku(edit));
                for edit in own.chain(for_owner[turn].as_ref().unwrap()) {
                    merge_one(&projection, &mut documents, edit);
                }
            }
        }

        let available = counts.last() != Some(&0);
        for id in 0..2 {
            let document = &documents[&DocumentId::Root(format!("p{id}"))];
            let in_stock = &view(&projection, document).unwrap().fields["in_stock"];
            let expected = available && owners.last() == Some(&Some(id));
            prop_assert_eq!(in_stock[0].to_string(), expected.to_string());
        }
    }
}

fn stock_of(count: u64, version: Version) -> StockChanged {
    StockChanged::new(Sku::new("s0").unwrap(), count, version, Timestamp::EPOCH)
}

#[test]
fn a_product_row_older_than_a_merged_variant_row_is_merged() {
    let projection = Projection::catalog();
    let create = |table, after| change_of(table, Change::Create { after }, Sequence::default());
    let changes = [
        create("variants", variant(0, 0, 9)),
        create("products", product(0, 3)),
    ];
    let documents = merge_all(&projection, &changes);
    let expected = BTreeMap::from([("p0".to_owned(), vec!["s0".to_owned()])]);
    assert_eq!(shown(&projection, &documents), expected);
}

#[test]
fn an_older_state_that_arrives_late_does_not_restore_a_deleted_row() {
    let projection = Projection::catalog();
    let change = |change| change_of("products", change, Sequence::default());
    let before = product(0, 5);
    let after = product(0, 4);
    let documents = merge_all(
        &projection,
        &[
            change(Change::Delete { before }),
            change(Change::Read { after }),
            change(Change::Create {
                after: product(0, 5),
            }),
        ],
    );
    assert!(shown(&projection, &documents).is_empty());
}

#[test]
fn any_streamed_change_wins_over_a_snapshot_read() {
    // A snapshot that is taken between a change and its commit has the higher LSN and the older
    // row.
    let projection = catalog(&RowVersionSource::LogSequence);
    let sequence = |last_commit, lsn| Sequence {
        last_commit,
        lsn: Some(lsn),
    };
    let snapshot = Change::Read {
        after: product(0, 1),
    };
    let update = Change::Update {
        before: None,
        after: product(0, 2),
    };
    let changes = [
        change_of("products", update, sequence(Some(10), 20)),
        change_of("products", snapshot, sequence(None, 30)),
    ];
    let documents = merge_all(&projection, &changes);
    let view = view(&projection, &documents[&DocumentId::Root("p0".to_owned())]).unwrap();
    assert_eq!(view.fields["title"][0].to_string(), "title at 2");
}

#[test]
fn an_older_epoch_never_wins() {
    let mut document = Document::new(DocumentId::Sku("s0".to_owned()));
    let projection = Projection::catalog();
    let restored = stock::event(&stock_of(0, Version::new(1, 2)));
    let older = stock::event(&stock_of(7, Version::new(0, u64::MAX)));
    assert_eq!(projection.merge(&mut document, &restored), Merged::Changed);
    assert_eq!(projection.merge(&mut document, &older), Merged::Unchanged);
    assert!(stock::is_of_older_epoch(&document, &older));
    assert!(!stock::is_of_older_epoch(&document, &restored));
}

#[test]
fn the_error_of_a_bad_row_names_the_column_and_the_fix() {
    let projection = Projection::catalog();
    let without = |mut row: Columns, column: &str| {
        row.remove(column);
        row
    };
    let with = |mut row: Columns, column: &str, value: Value| {
        row.insert(column.to_owned(), value);
        row
    };
    let row = || variant(0, 0, 1);
    let moved = |before| Change::Update {
        before,
        after: row(),
    };
    let read = |after| Change::Read { after };
    let delete = |before| Change::Delete { before };
    let cases = [
        (
            delete(without(row(), "product_id")),
            "product_id",
            "REPLICA IDENTITY FULL",
        ),
        (
            delete(without(row(), "version")),
            "version",
            "REPLICA IDENTITY FULL",
        ),
        (moved(None), "product_id", "REPLICA IDENTITY FULL"),
        (
            moved(Some(without(row(), "product_id"))),
            "product_id",
            "REPLICA IDENTITY FULL",
        ),
        (
            read(with(row(), "attributes", json!(UNAVAILABLE))),
            "attributes",
            "REPLICA IDENTITY FULL",
        ),
        (
            read(with(row(), "attributes", json!("[1]"))),
            "attributes",
            "JSON object",
        ),
        (
            read(with(row(), "price_minor", json!("dear"))),
            "price_minor",
            "a number",
        ),
        (
            read(with(row(), "version", json!(-1))),
            "version",
            "0 or above",
        ),
        (
            read(with(row(), "sku", Value::Null)),
            "sku",
            "text or a number",
        ),
        (read(without(row(), "sku")), "sku", "projection"),
        (Change::Truncate, "version", "rebuild"),
    ];
    for (change, column, fix) in cases {
        let edits = projection.edits(&change_of("variants", change, Sequence::default()));
        let Err(SearchError::BadRow {
            table,
            field,
            reason,
        }) = edits
        else {
            panic!("{column}, {fix}: {edits:?}");
        };
        assert_eq!(
            (table.as_str(), field.as_str()),
            ("catalog.variants", column)
        );
        assert!(
            reason.contains(fix),
            "{column}: {reason} should contain {fix}"
        );
    }
    let hidden = read(without(product(0, 1), "status"));
    let edits = projection.edits(&change_of("products", hidden, Sequence::default()));
    assert!(edits.unwrap_err().to_string().contains("status"));
    let unordered = catalog(&RowVersionSource::LogSequence);
    let edits = unordered.edits(&change_of(
        "products",
        read(product(0, 1)),
        Sequence::default(),
    ));
    assert!(edits.unwrap_err().to_string().contains("source.sequence"));
}
