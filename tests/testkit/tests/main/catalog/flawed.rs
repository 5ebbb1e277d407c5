//! A catalogue that can be told to break one rule, and the cases that tell.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use stockade_catalog_core::{
    CatalogError, CatalogStore, Deleted, Expected, Product, ProductContent, ProductId, ProductKey,
    ProductQuery, ProductType, ProductTypeName, ProductWrite, WriteEffect, Written,
};
use stockade_inventory_core::Sku;
use stockade_testkit::catalog::{CatalogHarness, reopen_cases, store_cases};
use stockade_testkit::{Absent, Harness, Reopen};

use crate::fails::assert_fails_on;

/// The rule that a catalogue breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    /// It keeps all of them.
    None,
    /// Asks whether somebody has a SKU, and not whether somebody had it.
    ReusesRetiredSkus,
    /// Compares versions, and writes later.
    LetsTwoWritersWin,
    /// Compares versions before it looks whether anything changes.
    ConflictsWithItself,
    /// Counts the versions of each product from 1.
    VersionsBeginAnew,
}

#[derive(Clone, Default)]
struct State {
    products: BTreeMap<ProductId, Product>,
    owners: HashMap<Sku, ProductId>,
    types: BTreeMap<ProductTypeName, ProductType>,
    version: u64,
}

impl State {
    fn with(&self, key: &ProductKey) -> Option<&Product> {
        self.products.values().find(|product| match key {
            ProductKey::Id(id) => product.content.id == *id,
            ProductKey::Slug(slug) => product.content.slug == *slug,
            ProductKey::Sku(sku) => product.content.variants.iter().any(|v| v.sku == *sku),
        })
    }

    fn check_rules(&self, content: &ProductContent, flaw: Flaw) -> Result<(), CatalogError> {
        if !self.types.contains_key(&content.product_type) {
            let name = content.product_type.clone();
            return Err(CatalogError::UnknownProductType { name });
        }
        let slug = content.slug.clone();
        let holder = self.with(&ProductKey::Slug(slug.clone()));
        if let Some(owner) = holder
            .map(|p| p.content.id.clone())
            .filter(|o| *o != content.id)
        {
            return Err(CatalogError::SlugTaken { slug, owner });
        }
        for variant in &content.variants {
            let sku = variant.sku.clone();
            let owner = match flaw {
                Flaw::ReusesRetiredSkus => {
                    let holder = self.with(&ProductKey::Sku(sku.clone()));
                    holder.map(|product| product.content.id.clone())
                }
                _ => self.owners.get(&sku).cloned(),
            };
            if let Some(owner) = owner.filter(|owner| *owner != content.id) {
                return Err(CatalogError::SkuTaken { sku, owner });
            }
        }
        Ok(())
    }

    /// What a write becomes.
    fn decide(&self, write: &ProductWrite, flaw: Flaw) -> Result<Written, CatalogError> {
        let content = &write.content;
        let before = self.products.get(&content.id);
        if flaw == Flaw::ConflictsWithItself {
            check_expected(&content.id, before, write.expected)?;
        }
        if let Some(same) = before.filter(|before| before.content == *content) {
            return Ok(Written::new(same.clone(), WriteEffect::Unchanged));
        }
        check_expected(&content.id, before, write.expected)?;
        self.check_rules(content, flaw)?;
        let version = match flaw {
            Flaw::VersionsBeginAnew => before.map_or(0, |before| before.version),
            _ => self.version,
        };
        let effect = before.map_or(WriteEffect::Created, |_| WriteEffect::Updated);
        let product = Product::new(content.clone(), version + 1);
        Ok(Written::new(product, effect))
    }

    fn store(&mut self, product: &Product) {
        let id = &product.content.id;
        for variant in &product.content.variants {
            self.owners.insert(variant.sku.clone(), id.clone());
        }
        self.version = self.version.max(product.version);
        self.products.insert(id.clone(), product.clone());
    }
}

fn check_expected(
    id: &ProductId,
    current: Option<&Product>,
    expected: Expected,
) -> Result<(), CatalogError> {
    let as_expected = match expected {
        Expected::Any => true,
        Expected::Absent => current.is_none(),
        Expected::Version(version) => current.is_some_and(|p| p.version == version),
    };
    if as_expected {
        return Ok(());
    }
    Err(CatalogError::VersionConflict {
        id: id.clone(),
        expected,
        current: current.cloned().map(Box::new),
    })
}

struct FlawedCatalog {
    flaw: Flaw,
    state: Mutex<State>,
}

impl FlawedCatalog {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    async fn put_one(&self, write: &ProductWrite) -> Result<Written, CatalogError> {
        let seen = if self.flaw == Flaw::LetsTwoWritersWin {
            let seen = self.state().clone();
            tokio::time::sleep(Duration::from_millis(2)).await;
            Some(seen)
        } else {
            None
        };
        let mut state = self.state();
        let mut written = seen.as_ref().unwrap_or(&state).decide(write, self.flaw)?;
        if written.effect != WriteEffect::Unchanged {
            if self.flaw == Flaw::LetsTwoWritersWin {
                // Other rules are kept by indexes of the database.
                state.check_rules(&write.content, self.flaw)?;
                written.product.version = state.version + 1;
            }
            state.store(&written.product);
        }
        Ok(written)
    }
}

#[async_trait]
impl CatalogStore for FlawedCatalog {
    async fn put(
        &self,
        writes: &[ProductWrite],
    ) -> Result<Vec<Result<Written, CatalogError>>, CatalogError> {
        let mut outcomes = Vec::new();
        for write in writes {
            outcomes.push(self.put_one(write).await);
        }
        Ok(outcomes)
    }

    async fn delete(&self, id: &ProductId, expected: Expected) -> Result<Deleted, CatalogError> {
        let mut state = self.state();
        let Some(before) = state.products.get(id) else {
            return Ok(Deleted::Absent);
        };
        check_expected(id, Some(before), expected)?;
        state.products.remove(id);
        Ok(Deleted::Removed)
    }

    async fn get(&self, keys: &[ProductKey]) -> Result<Vec<Option<Product>>, CatalogError> {
        let state = self.state();
        Ok(keys.iter().map(|key| state.with(key).cloned()).collect())
    }

    async fn find(&self, query: &ProductQuery) -> Result<Vec<Product>, CatalogError> {
        let state = self.state();
        let after = |id: &ProductId| query.after.as_ref().is_none_or(|after| after < id);
        let found = state.products.iter().filter(|(id, _)| after(id));
        let found = found.filter(|(_, product)| query.matches(&product.content));
        Ok(found
            .take(query.limit.get())
            .map(|(_, p)| p.clone())
            .collect())
    }

    async fn put_type(&self, product_type: &ProductType) -> Result<(), CatalogError> {
        let name = product_type.name.clone();
        self.state().types.insert(name, product_type.clone());
        Ok(())
    }

    async fn get_types(
        &self,
        names: &[ProductTypeName],
    ) -> Result<Vec<Option<ProductType>>, CatalogError> {
        let state = self.state();
        Ok(names
            .iter()
            .map(|name| state.types.get(name).cloned())
            .collect())
    }

    async fn all_types(&self) -> Result<Vec<ProductType>, CatalogError> {
        Ok(self.state().types.values().cloned().collect())
    }
}

struct Built(Arc<FlawedCatalog>);

impl Built {
    async fn with(flaw: Flaw) -> Result<Self, Absent> {
        Ok(Self(Arc::new(FlawedCatalog {
            flaw,
            state: Mutex::default(),
        })))
    }
}

#[async_trait]
impl Harness for Built {
    const BACKEND: &'static str = "memory";

    async fn open() -> Result<Self, Absent> {
        Self::with(Flaw::None).await
    }
}

impl CatalogHarness for Built {
    fn store(&self) -> Arc<dyn CatalogStore> {
        self.0.clone()
    }
}

/// The process does not end, so the data is there: this proves the suite, not the store.
#[async_trait]
impl Reopen for Built {
    async fn reopen(self) -> Self {
        self
    }
}

stockade_testkit::catalog_store_conformance!(correctly_built, Built);
stockade_testkit::catalog_reopen_conformance!(correctly_built_kept, Built);

#[test]
fn reuses_a_retired_sku() {
    assert_fails_on(
        &store_cases(),
        || Built::with(Flaw::ReusesRetiredSkus),
        &[
            "a_retired_sku_is_not_given_to_another_product",
            "a_sku_of_a_deleted_product_is_not_given_to_another",
        ],
        "SKU tee-m of tee was reused by another product",
    );
    assert_fails_on(
        &reopen_cases(),
        || Built::with(Flaw::ReusesRetiredSkus),
        &["retired_skus_stay_retired"],
        "was reused by another product",
    );
}

#[test]
fn lets_two_writers_win() {
    assert_fails_on(
        &store_cases(),
        || Built::with(Flaw::LetsTwoWritersWin),
        &[
            "one_of_many_writers_wins",
            "one_of_many_creators_wins",
            "a_write_and_a_deletion_have_one_winner",
            "concurrent_repeats_agree",
        ],
        "several writers won with one expected version",
    );
}

#[test]
fn conflicts_with_itself() {
    assert_fails_on(
        &store_cases(),
        || Built::with(Flaw::ConflictsWithItself),
        &[
            "a_repeated_write_does_not_conflict_with_itself",
            "concurrent_repeats_agree",
        ],
        "a repeated write conflicts with itself",
    );
}

#[test]
fn versions_begin_anew() {
    assert_fails_on(
        &store_cases(),
        || Built::with(Flaw::VersionsBeginAnew),
        &["versions_rise_across_a_deletion"],
        "put again after a deletion",
    );
}
