//! Products in memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use stockade_change_feed::debezium::{self, Change as RowEffect, Columns, RowChange, Sequence};
use stockade_change_feed::memory::MemoryFeed;
use stockade_change_feed::{Clock, Message, SystemClock, Topic};

use crate::error::CatalogError;
use crate::product::{Product, ProductId, ProductType, ProductTypeName};
use crate::rows;
use crate::rules::{CatalogState, Change, Put, VariantChange, VariantRow};
use crate::store::{
    CatalogStore, Deleted, Expected, ProductKey, ProductQuery, ProductWrite, WriteEffect, Written,
};

/// A catalogue in memory, which can publish the changes of its rows as Debezium does.
#[derive(Debug)]
pub struct MemoryCatalog {
    state: Mutex<State>,
    outlet: Option<(MemoryFeed, Topic)>,
    clock: Arc<dyn Clock>,
}

impl Default for MemoryCatalog {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryCatalog {
    /// An empty catalogue that publishes nothing.
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: Mutex::default(),
            outlet: None,
            clock: Arc::new(SystemClock::new()),
        }
    }

    /// Publishes each change of a row to `topic` of `feed`, in the envelopes that Debezium writes
    /// under `REPLICA IDENTITY FULL`. A change and its records become visible together, so that the
    /// catalogue and its log never differ.
    ///
    /// A row that is too large for the feed makes the write fail with [`CatalogError::Feed`].
    /// Content that [`Catalog`](crate::Catalog) accepts fits the feed's usual limit.
    #[must_use]
    pub fn publishing_to(mut self, feed: MemoryFeed, topic: Topic) -> Self {
        self.outlet = Some((feed, topic));
        self
    }

    /// Sets the clock for the times of published changes.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics halfway through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put_one(&self, state: &mut State, write: &ProductWrite) -> Result<Written, CatalogError> {
        let put = state
            .catalog
            .decide_put(write.content.clone(), write.expected)?;
        let change = match put {
            Put::Unchanged(product) => return Ok(Written::new(*product, WriteEffect::Unchanged)),
            Put::Change(change) => change,
        };
        let id = &change.content.id;
        let version = state.version + 1;
        let before = state.variant_versions(id);
        let versions = variant_versions(&change, before, version);
        let effects = changed_rows(&change, before, version);
        self.publish(state, id, effects)?;
        state.version = version;
        state.catalog.apply(&change, version);
        state.variant_versions.insert(id.clone(), versions);
        Ok(change.written(version))
    }

    /// Publishes the changed rows of a product.
    fn publish(
        &self,
        state: &mut State,
        id: &ProductId,
        effects: Vec<(&'static str, RowEffect)>,
    ) -> Result<(), CatalogError> {
        if let Some((feed, topic)) = &self.outlet {
            let envelopes = state.envelopes(effects, self.clock.as_ref()).into_iter();
            let messages = envelopes.map(|envelope| Message::keyed(rows::key(id), envelope));
            feed.append_all(topic, messages.collect())?;
        }
        Ok(())
    }
}

#[async_trait]
impl CatalogStore for MemoryCatalog {
    async fn put(
        &self,
        writes: &[ProductWrite],
    ) -> Result<Vec<Result<Written, CatalogError>>, CatalogError> {
        let mut state = self.lock();
        let put = |write| self.put_one(&mut state, write);
        Ok(writes.iter().map(put).collect())
    }

    async fn delete(&self, id: &ProductId, expected: Expected) -> Result<Deleted, CatalogError> {
        let mut state = self.lock();
        let Some(product) = state.catalog.decide_delete(id, expected)? else {
            return Ok(Deleted::Absent);
        };
        let effects = deleted_rows(product, state.variant_versions(id));
        self.publish(&mut state, id, effects)?;
        state.catalog.remove(id);
        state.variant_versions.remove(id);
        Ok(Deleted::Removed)
    }

    async fn get(&self, keys: &[ProductKey]) -> Result<Vec<Option<Product>>, CatalogError> {
        let state = self.lock();
        let found = keys.iter().map(|key| state.catalog.find(key).cloned());
        Ok(found.collect())
    }

    async fn find(&self, query: &ProductQuery) -> Result<Vec<Product>, CatalogError> {
        let state = self.lock();
        let products = state.catalog.products_after(query.after.as_ref());
        let found = products.filter(|product| query.matches(&product.content));
        Ok(found.take(query.limit.get()).cloned().collect())
    }

    async fn put_type(&self, product_type: &ProductType) -> Result<(), CatalogError> {
        let mut state = self.lock();
        state.catalog.add_type(product_type.name.clone());
        let name = product_type.name.clone();
        state.types.insert(name, product_type.clone());
        Ok(())
    }

    async fn get_types(
        &self,
        names: &[ProductTypeName],
    ) -> Result<Vec<Option<ProductType>>, CatalogError> {
        let state = self.lock();
        Ok(names
            .iter()
            .map(|name| state.types.get(name).cloned())
            .collect())
    }

    async fn all_types(&self) -> Result<Vec<ProductType>, CatalogError> {
        Ok(self.lock().types.values().cloned().collect())
    }
}

#[derive(Debug, Default)]
struct State {
    catalog: CatalogState,
    /// The version that each variant's row was last written with, by its position in the product.
    variant_versions: HashMap<ProductId, Vec<u64>>,
    types: BTreeMap<ProductTypeName, ProductType>,
    /// The newest version.
    version: u64,
    /// The newest position in the published log.
    lsn: u64,
}

impl State {
    fn variant_versions(&self, id: &ProductId) -> &[u64] {
        let versions = self.variant_versions.get(id);
        versions.map_or(&[], Vec::as_slice)
    }

    /// The changes of one transaction as they are published.
    fn envelopes(
        &mut self,
        changes: Vec<(&'static str, RowEffect)>,
        clock: &dyn Clock,
    ) -> Vec<bytes::Bytes> {
        let (last_commit, timestamp) = (self.lsn, clock.now());
        let encode = |(table, change): (&str, RowEffect)| {
            self.lsn += 1;
            debezium::encode(&RowChange {
                schema: rows::SCHEMA.to_owned(),
                table: table.to_owned(),
                change,
                sequence: Sequence {
                    last_commit: Some(last_commit),
                    lsn: Some(self.lsn),
                },
                timestamp,
            })
        };
        changes.into_iter().map(encode).collect()
    }
}

/// The versions of the variants' rows after a change, given those before it.
fn variant_versions(change: &Change, before: &[u64], version: u64) -> Vec<u64> {
    let version = |variant| match variant {
        VariantChange::Kept((position, _)) => Some(version_at(before, position)),
        VariantChange::Inserted(_) | VariantChange::Updated(..) => Some(version),
        VariantChange::Retired(_) => None,
    };
    change.variants().into_iter().filter_map(version).collect()
}

fn version_at(versions: &[u64], position: usize) -> u64 {
    versions.get(position).copied().unwrap_or_default()
}

/// The changed rows of a put: the product's row comes before the variants that refer to it.
fn changed_rows(change: &Change, before: &[u64], version: u64) -> Vec<(&'static str, RowEffect)> {
    let row = |(position, variant): VariantRow<'_>, version| {
        rows::variant_row(&change.content.id, position, variant, version)
    };
    let old_row = |old: VariantRow<'_>| row(old, version_at(before, old.0));
    let variant = |variant| match variant {
        VariantChange::Kept(_) => None,
        VariantChange::Retired(old) => Some(RowEffect::Delete {
            before: old_row(old),
        }),
        VariantChange::Updated(old, new) => {
            Some(written_row(Some(old_row(old)), row(new, version)))
        }
        VariantChange::Inserted(new) => Some(written_row(None, row(new, version))),
    };
    let variants = change.variants().into_iter().filter_map(variant);

    let product = Product::new(change.content.clone(), version);
    let old = change.before.as_ref().map(rows::product_row);
    let product = written_row(old, rows::product_row(&product));
    let variants = variants.map(|effect| (rows::VARIANTS, effect));
    std::iter::once((rows::PRODUCTS, product))
        .chain(variants)
        .collect()
}

/// The deleted rows of a deletion: the product's row comes after its variants.
fn deleted_rows(product: &Product, versions: &[u64]) -> Vec<(&'static str, RowEffect)> {
    let content = &product.content;
    let variants = content
        .variants
        .iter()
        .enumerate()
        .map(|(position, variant)| {
            let version = version_at(versions, position);
            let before = rows::variant_row(&content.id, position, variant, version);
            (rows::VARIANTS, RowEffect::Delete { before })
        });
    let before = rows::product_row(product);
    variants
        .chain([(rows::PRODUCTS, RowEffect::Delete { before })])
        .collect()
}

fn written_row(before: Option<Columns>, after: Columns) -> RowEffect {
    match before {
        None => RowEffect::Create { after },
        before => RowEffect::Update { before, after },
    }
}

#[cfg(test)]
#[path = "catalog_tests.rs"]
mod tests;
