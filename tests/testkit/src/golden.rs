//! The row changes of a catalogue as a file, so that writers and readers are tested against the
//! same lines.
//!
//! A store that runs [`catalog_script`] must publish the rows in [`CATALOG_ROWS`], in [`canonical`]
//! form; `catalog_changes_conformance!` checks it. A test of a reader may use these lines as its
//! input.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use stockade_catalog_core::{
    Money, ProductContent, ProductId, ProductStatus, ProductType, Variant, rows,
};
use stockade_change_feed::Timestamp;
use stockade_change_feed::debezium::{self, Change, Columns, RowChange, Sequence};

use crate::catalog::shop::{id, media, money, object, product, shirt, sku, slug};

/// Debezium envelopes, one on each line: the changes of [`catalog_script`], in [`canonical`] form.
pub const CATALOG_ROWS: &str = include_str!("../golden/catalog-rows.ndjson");

/// A step of [`catalog_script`].
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Put this type.
    Type(ProductType),
    /// Put this product, in any state.
    Put(ProductContent),
    /// Delete this product, in any state.
    Delete(ProductId),
}

/// The writes whose row changes are in [`CATALOG_ROWS`].
#[must_use]
pub fn catalog_script() -> Vec<Step> {
    let tee = tee();
    let cap = product("cap", &["cap-one"]);
    let mut mug = product("mug", &[]);
    mug.status = ProductStatus::Draft;

    let mut dearer = tee.clone();
    dearer.title = "Monospace Tee 2".to_owned();
    dearer.variants[1].price = Some(price(2_499));
    let mut other_sizes = dearer.clone();
    other_sizes.variants.remove(0);
    other_sizes.variants.push(Variant::new(sku("tee-xl")));
    vec![
        Step::Type(shirt()),
        Step::Put(tee),
        Step::Put(cap.clone()),
        Step::Put(dearer.clone()),
        Step::Put(dearer),
        Step::Put(mug),
        Step::Put(other_sizes),
        Step::Delete(id("cap")),
        Step::Delete(id("cap")),
        Step::Put(cap),
        Step::Delete(id("mug")),
    ]
}

/// A product with unusual values in every field.
fn tee() -> ProductContent {
    let variant = |name: &str, size: &str| {
        let mut variant = Variant::new(sku(name));
        variant.name = Some(size.to_owned());
        variant.options.insert("size".to_owned(), size.to_owned());
        variant.price = Some(price(1_999));
        variant.attributes = object(json!({"weight": 0.18, "ean": null}));
        variant
    };
    let mut tee = product("tee", &[]);
    tee.slug = slug("monospace-tee");
    tee.title = "Monospace Tee".to_owned();
    tee.description = "It’s \"your\" \\ second skin:\n100 % 🧢".to_owned();
    tee.brand = Some("Loom & Söhne".to_owned());
    tee.category = vec!["Apparel".to_owned(), "T-shirts".to_owned()];
    tee.media = vec![media("front", "A tee"), media("back", "")];
    tee.attributes = object(json!({
        "material": ["cotton", "linen"],
        "care": {"wash": 30, "iron": true},
        "length": 71.5,
        "id": 9_007_199_254_740_993_u64,
        "none": null,
    }));
    tee.variants = vec![
        variant("tee-s", "S"),
        variant("tee-m", "M"),
        variant("tee-l", "L"),
    ];
    tee
}

fn price(minor: u64) -> Money {
    money(minor, "EUR")
}

/// The changes in [`CATALOG_ROWS`].
///
/// # Panics
/// Never: the file is tested.
#[must_use]
pub fn catalog_rows() -> Vec<RowChange> {
    let decode = |line: &str| debezium::decode(Some(&line.to_owned().into()));
    CATALOG_ROWS
        .lines()
        .map(|line| {
            decode(line)
                .expect("the file is tested")
                .expect("it has no tombstone")
        })
        .collect()
}

/// Row changes of a catalogue without the differences between stores:
///
/// - the position in the log and the time are 0, and versions are 1, 2, 3, … in their order;
/// - JSONB is written without white space, and columns that are not in [`rows`] are removed;
/// - changes are ordered by product. Changes of variants between two changes of their product are
///   ordered by SKU. The changes of one row keep their order.
///
/// # Panics
/// For changes of other tables, and for rows that are not as in [`rows`].
#[must_use]
pub fn canonical(changes: impl IntoIterator<Item = RowChange>) -> Vec<RowChange> {
    let mut changes: Vec<RowChange> = changes.into_iter().map(without_volatile).collect();
    rank_versions(&mut changes);
    let mut by_product: BTreeMap<String, Vec<RowChange>> = BTreeMap::new();
    for change in changes {
        let product = text(image(&change.change), "product_id").to_owned();
        by_product.entry(product).or_default().push(change);
    }
    by_product.into_values().flat_map(variants_by_sku).collect()
}

fn variants_by_sku(changes: Vec<RowChange>) -> Vec<RowChange> {
    let mut ordered: Vec<RowChange> = Vec::with_capacity(changes.len());
    let mut run: Vec<RowChange> = Vec::new();
    let by_sku = |change: &RowChange| text(image(&change.change), "sku").to_owned();
    for change in changes {
        if change.table == rows::VARIANTS {
            run.push(change);
        } else {
            run.sort_by_key(by_sku);
            ordered.append(&mut run);
            ordered.push(change);
        }
    }
    run.sort_by_key(by_sku);
    ordered.append(&mut run);
    ordered
}

fn without_volatile(mut change: RowChange) -> RowChange {
    change.sequence = Sequence {
        last_commit: Some(0),
        lsn: Some(0),
    };
    change.timestamp = Timestamp::EPOCH;
    let table = change.table.clone();
    for image in images(&mut change.change) {
        *image = known_columns(&table, image);
    }
    change
}

/// The columns of a row that a catalogue's table has, with JSONB written in one way.
pub(crate) fn known_columns(table: &str, row: &Columns) -> Columns {
    let (names, jsonb): (&[&str], &[&str]) = match table {
        rows::PRODUCTS => (
            &[
                "product_id",
                "slug",
                "title",
                "description",
                "brand",
                "product_type",
                "status",
                "version",
            ],
            &["category", "media", "attributes"],
        ),
        rows::VARIANTS => (
            &[
                "sku",
                "product_id",
                "position",
                "name",
                "price_minor",
                "currency",
                "version",
            ],
            &["options", "attributes"],
        ),
        other => panic!("a catalogue has no table {other}"),
    };
    let plain = names.iter().map(|name| (*name, row.get(*name).cloned()));
    let rendered = jsonb.iter().map(|name| {
        let value = row.get(*name).map(|value| {
            let parsed = value.as_str().map(serde_json::from_str::<Value>);
            match parsed {
                Some(Ok(parsed)) => Value::String(parsed.to_string()),
                _ => panic!("column {name} of {table} holds {value}, not a string of JSON"),
            }
        });
        (*name, value)
    });
    plain
        .chain(rendered)
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect()
}

fn rank_versions(changes: &mut [RowChange]) {
    let mut versions = BTreeSet::new();
    for change in &mut *changes {
        versions.extend(images(&mut change.change).into_iter().filter_map(version));
    }
    let ranks: BTreeMap<u64, usize> = versions.into_iter().zip(1..).collect();
    for change in changes {
        for image in images(&mut change.change) {
            if let Some(rank) = version(image).and_then(|version| ranks.get(&version)) {
                image.insert("version".to_owned(), json!(rank));
            }
        }
    }
}

fn version(row: &mut Columns) -> Option<u64> {
    row.get("version").and_then(Value::as_u64)
}

/// The newest state of the row in a change.
pub(crate) fn image(change: &Change) -> &Columns {
    match change {
        Change::Create { after } | Change::Read { after } | Change::Update { after, .. } => after,
        Change::Delete { before } => before,
        Change::Truncate => panic!("a catalogue's tables are not truncated"),
    }
}

fn images(change: &mut Change) -> Vec<&mut Columns> {
    match change {
        Change::Create { after } | Change::Read { after } => vec![after],
        Change::Update { before, after } => before.iter_mut().chain([after]).collect(),
        Change::Delete { before } => vec![before],
        Change::Truncate => Vec::new(),
    }
}

/// A column that has to be text.
pub(crate) fn text<'a>(row: &'a Columns, column: &str) -> &'a str {
    let value = row.get(column);
    let text = value.and_then(Value::as_str);
    text.unwrap_or_else(|| panic!("column {column} is text, not {value:?}"))
}
