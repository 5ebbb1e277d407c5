//! Products in memory.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use stockade_change_feed::debezium::{self, Change, Columns, RowChange, Sequence};
use stockade_change_feed::memory::MemoryFeed;
use stockade_change_feed::{Clock, Message, SystemClock, Topic};
use stockade_inventory_core::Sku;

use crate::catalog::limits::check_skus_differ;
use crate::error::CatalogError;
use crate::product::{Product, ProductContent, ProductId, ProductType, ProductTypeName, Slug};
use crate::rows;
use crate::store::{
    CatalogStore, Deleted, Expected, ProductKey, ProductQuery, ProductWrite, WriteEffect, Written,
};

/// A catalogue in memory, which can publish the changes of its rows as Debezium would.
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
    /// under `REPLICA IDENTITY FULL`. A change and its records appear together, so that the
    /// catalogue and its log can not differ.
    ///
    /// A row that is too large for the feed fails the write with [`CatalogError::Feed`]; what
    /// [`Catalog`](crate::Catalog) lets through fits the feed's usual limit.
    #[must_use]
    pub fn publishing_to(mut self, feed: MemoryFeed, topic: Topic) -> Self {
        self.outlet = Some((feed, topic));
        self
    }

    /// With another clock for the times of published changes.
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
        let content = &write.content;
        let before = state.products.get(&content.id);
        if let Some(same) = before.filter(|before| before.product.content == *content) {
            return Ok(Written::new(same.product.clone(), WriteEffect::Unchanged));
        }
        check_expected(&content.id, before, write.expected)?;
        state.check_rules(content)?;
        let effect = match before {
            Some(_) => WriteEffect::Updated,
            None => WriteEffect::Created,
        };
        let after = Stored::next(before, content, state.version + 1);
        let product = after.product.clone();
        state.version = product.version;
        self.commit(state, &content.id, Some(after))?;
        Ok(Written::new(product, effect))
    }

    /// Publishes what changes, and replaces the product's state.
    fn commit(
        &self,
        state: &mut State,
        id: &ProductId,
        after: Option<Stored>,
    ) -> Result<(), CatalogError> {
        if let Some((feed, topic)) = &self.outlet {
            let changes = row_changes(state.products.get(id), after.as_ref());
            let envelopes = state.envelopes(changes, self.clock.as_ref()).into_iter();
            let messages = envelopes.map(|envelope| Message::keyed(rows::key(id), envelope));
            feed.append_all(topic, messages.collect())?;
        }
        if let Some(before) = state.products.remove(id) {
            state.slugs.remove(&before.product.content.slug);
        }
        if let Some(after) = after {
            state.insert(after);
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
        let Some(before) = state.products.get(id) else {
            return Ok(Deleted::Absent);
        };
        check_expected(id, Some(before), expected)?;
        self.commit(&mut state, id, None)?;
        Ok(Deleted::Removed)
    }

    async fn get(&self, keys: &[ProductKey]) -> Result<Vec<Option<Product>>, CatalogError> {
        let state = self.lock();
        let found = keys.iter().map(|key| state.find_key(key));
        Ok(found
            .map(|stored| stored.map(|stored| stored.product.clone()))
            .collect())
    }

    async fn find(&self, query: &ProductQuery) -> Result<Vec<Product>, CatalogError> {
        let state = self.lock();
        let start = match &query.after {
            Some(after) => Bound::Excluded(after),
            None => Bound::Unbounded,
        };
        Ok(state
            .products
            .range::<ProductId, _>((start, Bound::Unbounded))
            .map(|(_, stored)| &stored.product)
            .filter(|product| query.matches(&product.content))
            .take(query.limit.max(1))
            .cloned()
            .collect())
    }

    async fn put_type(&self, product_type: &ProductType) -> Result<(), CatalogError> {
        let name = product_type.name.clone();
        self.lock().types.insert(name, product_type.clone());
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
    products: BTreeMap<ProductId, Stored>,
    slugs: HashMap<Slug, ProductId>,
    /// Whose each SKU is that was ever used: it outlives variants and products.
    sku_owners: HashMap<Sku, ProductId>,
    types: BTreeMap<ProductTypeName, ProductType>,
    /// The newest version drawn.
    version: u64,
    /// The newest place in the published log.
    lsn: u64,
}

impl State {
    /// The rules between rows.
    fn check_rules(&self, content: &ProductContent) -> Result<(), CatalogError> {
        if !self.types.contains_key(&content.product_type) {
            let name = content.product_type.clone();
            return Err(CatalogError::UnknownProductType { name });
        }
        let another = |owner: &&ProductId| **owner != content.id;
        if let Some(owner) = self.slugs.get(&content.slug).filter(another) {
            return Err(CatalogError::SlugTaken {
                slug: content.slug.clone(),
                owner: owner.clone(),
            });
        }
        check_skus_differ(content)?;
        for variant in &content.variants {
            if let Some(owner) = self.sku_owners.get(&variant.sku).filter(another) {
                return Err(CatalogError::SkuTaken {
                    sku: variant.sku.clone(),
                    owner: owner.clone(),
                });
            }
        }
        Ok(())
    }

    fn insert(&mut self, stored: Stored) {
        let content = &stored.product.content;
        self.slugs.insert(content.slug.clone(), content.id.clone());
        for variant in &content.variants {
            self.sku_owners
                .insert(variant.sku.clone(), content.id.clone());
        }
        self.products.insert(content.id.clone(), stored);
    }

    fn find_key(&self, key: &ProductKey) -> Option<&Stored> {
        match key {
            ProductKey::Id(id) => self.products.get(id),
            ProductKey::Slug(slug) => self.products.get(self.slugs.get(slug)?),
            ProductKey::Sku(sku) => self
                .products
                .get(self.sku_owners.get(sku)?)
                .filter(|stored| stored.has(sku)),
        }
    }

    /// The changes of one transaction as they are published.
    fn envelopes(
        &mut self,
        changes: Vec<(&'static str, Change)>,
        clock: &dyn Clock,
    ) -> Vec<bytes::Bytes> {
        let (last_commit, timestamp) = (self.lsn, clock.now());
        let encode = |(table, change): (&str, Change)| {
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

fn check_expected(
    id: &ProductId,
    current: Option<&Stored>,
    expected: Expected,
) -> Result<(), CatalogError> {
    let as_expected = match (expected, current) {
        (Expected::Any, _) | (Expected::Absent, None) => true,
        (Expected::Version(version), Some(current)) => version == current.product.version,
        (Expected::Absent, Some(_)) | (Expected::Version(_), None) => false,
    };
    if as_expected {
        return Ok(());
    }
    Err(CatalogError::VersionConflict {
        id: id.clone(),
        expected,
        current: current.map(|current| Box::new(current.product.clone())),
    })
}

/// A product, and the version that each of its variants' rows was last written with.
#[derive(Clone, Debug)]
struct Stored {
    product: Product,
    variant_versions: Vec<u64>,
}

impl Stored {
    /// What a product becomes. The row of a variant that stays what and where it is keeps its
    /// version.
    fn next(before: Option<&Self>, content: &ProductContent, version: u64) -> Self {
        let row_version = |(position, variant)| {
            before
                .filter(|before| before.product.content.variants.get(position) == Some(variant))
                .map_or(version, |before| before.variant_versions[position])
        };
        Self {
            variant_versions: content
                .variants
                .iter()
                .enumerate()
                .map(row_version)
                .collect(),
            product: Product::new(content.clone(), version),
        }
    }

    fn has(&self, sku: &Sku) -> bool {
        let variants = &self.product.content.variants;
        variants.iter().any(|variant| variant.sku == *sku)
    }

    fn product_row(&self) -> Columns {
        rows::product_row(&self.product)
    }

    /// The rows of the variants, each with its SKU and version.
    fn variant_rows(&self) -> impl Iterator<Item = (&Sku, u64, Columns)> {
        let content = &self.product.content;
        let versioned = content.variants.iter().zip(&self.variant_versions);
        versioned
            .enumerate()
            .map(|(position, (variant, &version))| {
                let row = rows::variant_row(&content.id, position, variant, version);
                (&variant.sku, version, row)
            })
    }
}

/// What changes in the tables between two states of a product. A product's row comes before the
/// variants that need it, and goes after them.
fn row_changes(before: Option<&Stored>, after: Option<&Stored>) -> Vec<(&'static str, Change)> {
    let mut old: BTreeMap<&Sku, (u64, Columns)> = before
        .into_iter()
        .flat_map(Stored::variant_rows)
        .map(|(sku, version, row)| (sku, (version, row)))
        .collect();
    let mut written = Vec::new();
    for (sku, version, row) in after.into_iter().flat_map(Stored::variant_rows) {
        match old.remove(sku) {
            Some((same, _)) if same == version => {}
            old => written.push(written_row(old.map(|(_, before)| before), row)),
        }
    }
    let retired = old
        .into_values()
        .map(|(_, before)| Change::Delete { before });
    let variants = retired
        .chain(written)
        .map(|change| (rows::VARIANTS, change));

    let before = before.map(Stored::product_row);
    match (before, after.map(Stored::product_row)) {
        (before, Some(after)) => std::iter::once((rows::PRODUCTS, written_row(before, after)))
            .chain(variants)
            .collect(),
        (Some(before), None) => variants
            .chain([(rows::PRODUCTS, Change::Delete { before })])
            .collect(),
        (None, None) => Vec::new(),
    }
}

fn written_row(before: Option<Columns>, after: Columns) -> Change {
    match before {
        None => Change::Create { after },
        before => Change::Update { before, after },
    }
}

#[cfg(test)]
#[path = "catalog_tests.rs"]
mod tests;
