//! Compares the changes in a feed with the rows of a catalogue.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::Value;
use stockade_catalog_core::{Product, rows};
use stockade_change_feed::debezium::{self, Change, Columns, RowChange};
use stockade_change_feed::{Group, PollLimits, SubscribeOptions, Subscription};

use super::ChangesHarness;
use super::shop::{Shop, first};
use crate::golden::{canonical, image, known_columns, text};

/// After this much silence the feed has no more changes.
const SILENCE: Duration = Duration::from_millis(200);

/// A row by its table and key.
type Rows = BTreeMap<(String, String), Columns>;

/// A change, and the key of its record.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) key: Option<Bytes>,
    pub(super) row: RowChange,
}

/// All changes in the feed so far.
pub(super) struct History {
    subscription: Box<dyn Subscription>,
    patience: Duration,
    told: Vec<Told>,
    taken: usize,
}

impl History {
    pub(super) async fn open(harness: &impl ChangesHarness) -> Self {
        let group = Group::new("conformance").expect("it is a valid name");
        let options = SubscribeOptions::default();
        let feed = harness.feed();
        let subscription = feed.subscribe(&group, &[harness.topic()], options).await;
        Self {
            subscription: subscription
                .unwrap_or_else(|error| panic!("subscribing failed: {error}")),
            patience: harness.patience(),
            told: Vec::new(),
            taken: 0,
        }
    }

    /// Waits until the changes add up to the content of the store, and returns the changes since
    /// the last call.
    pub(super) async fn catch_up(&mut self, shop: &Shop) -> &[Told] {
        let expected = rows_of(&all_products(shop).await);
        let started = Instant::now();
        while without_variant_versions(self.rows()) != expected {
            assert!(
                started.elapsed() < self.patience,
                "what the feed tells does not add up to the catalogue: {:#?} instead of \
                 {expected:#?}",
                self.rows()
            );
            self.poll(Duration::from_millis(100)).await;
        }
        // More than that is too much.
        while self.poll(SILENCE).await > 0 {}
        assert_eq!(
            without_variant_versions(self.rows()),
            expected,
            "the feed published changes that no write made"
        );
        let from = std::mem::replace(&mut self.taken, self.told.len());
        &self.told[from..]
    }

    /// As [`catch_up`](Self::catch_up), in short: `+sku` for an insert, `~sku` for an update and
    /// `-sku` for a deletion, in [`canonical`] order.
    pub(super) async fn news(&mut self, shop: &Shop) -> Vec<String> {
        let told = self.catch_up(shop).await;
        let changes = canonical(told.iter().map(|told| told.row.clone()));
        changes.iter().map(in_short).collect()
    }

    async fn poll(&mut self, wait: Duration) -> usize {
        let limits = PollLimits {
            wait,
            ..PollLimits::default()
        };
        let polled = self.subscription.poll(&limits).await;
        let polled = polled.unwrap_or_else(|error| panic!("polling the feed failed: {error}"));
        let mut count = polled.gained.len();
        for record in polled.records {
            count += 1;
            let decoded = debezium::decode(record.value.as_ref());
            let decoded = decoded.unwrap_or_else(|error| panic!("no row change: {error}"));
            if let Some(row) = decoded {
                assert_eq!(row.schema, rows::SCHEMA, "the schema of {}", row.table);
                let key = record.key;
                self.told.push(Told { key, row });
            }
        }
        count
    }

    /// The rows that the changes add up to. Each change must follow from the one before.
    fn rows(&self) -> Rows {
        let mut rows = Rows::new();
        let mut versions = BTreeMap::new();
        for Told { row, .. } in &self.told {
            let at = (row.table.clone(), row_key(row).to_owned());
            let known = rows.remove(&at);
            let reduced = |columns: &Columns| known_columns(&row.table, columns);
            match &row.change {
                Change::Create { .. } => assert_eq!(known, None, "{at:?} was inserted twice"),
                Change::Update { before, .. } => assert_eq!(
                    before.as_ref().map(reduced),
                    known,
                    "the old row of an update is whole, and equals the one published before"
                ),
                Change::Delete { before } => assert_eq!(
                    Some(reduced(before)),
                    known,
                    "a deleted row is whole, and equals the one published before"
                ),
                Change::Read { .. } | Change::Truncate => {
                    panic!("no table was read or truncated: {row:?}")
                }
            }
            if let Change::Create { after } | Change::Update { after, .. } = &row.change {
                let version = after.get("version").and_then(Value::as_u64);
                let last = versions.insert(at.clone(), version).flatten();
                assert!(
                    version > last,
                    "the version of {at:?} must rise; it was {last:?}, and is {version:?}"
                );
                rows.insert(at, reduced(after));
            }
        }
        rows
    }
}

fn row_key(row: &RowChange) -> &str {
    let column = if row.table == rows::VARIANTS {
        "sku"
    } else {
        "product_id"
    };
    text(image(&row.change), column)
}

fn in_short(row: &RowChange) -> String {
    let sign = match row.change {
        Change::Create { .. } => '+',
        Change::Update { .. } => '~',
        Change::Delete { .. } => '-',
        Change::Read { .. } | Change::Truncate => '?',
    };
    format!("{sign}{}", row_key(row))
}

async fn all_products(shop: &Shop) -> Vec<Product> {
    let mut all: Vec<Product> = Vec::new();
    let mut query = first(500);
    loop {
        let page = shop.find(&query).await;
        let Some(last) = page.last() else {
            return all;
        };
        query.after = Some(last.content.id.clone());
        all.extend(page);
    }
}

/// The rows of products. The versions of variants are unknown.
fn rows_of(products: &[Product]) -> Rows {
    let mut all = Rows::new();
    for product in products {
        let id = &product.content.id;
        let key = (rows::PRODUCTS.to_owned(), id.to_string());
        let row = rows::product_row(product);
        all.insert(key, known_columns(rows::PRODUCTS, &row));
        for (position, variant) in product.content.variants.iter().enumerate() {
            let key = (rows::VARIANTS.to_owned(), variant.sku.to_string());
            let row = rows::variant_row(id, position, variant, product.version);
            all.insert(key, known_columns(rows::VARIANTS, &row));
        }
    }
    without_variant_versions(all)
}

fn without_variant_versions(mut rows: Rows) -> Rows {
    for ((table, _), row) in &mut rows {
        if table == rows::VARIANTS {
            row.remove("version");
        }
    }
    rows
}
