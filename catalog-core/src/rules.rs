//! The rules between products, as pure decisions that stores use.
//!
//! A store loads the rows that a write touches into a [`CatalogState`], or keeps all rows in one.
//! It [decides](CatalogState::decide_put) while no other writer can change these rows, writes the
//! rows that the [`Change`] names, and applies the change to the state.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::Bound;

use stockade_inventory_core::Sku;

use crate::error::CatalogError;
use crate::product::{Product, ProductContent, ProductId, ProductTypeName, Slug, Variant};
use crate::store::{Expected, ProductKey, WriteEffect, Written};

/// The products that writes are decided on, with the owners of slugs and SKUs.
///
/// ```
/// use stockade_catalog_core::rules::{CatalogState, Put};
/// use stockade_catalog_core::{
///     CatalogError, Expected, ProductContent, ProductId, ProductTypeName, Slug,
/// };
///
/// # fn main() -> Result<(), CatalogError> {
/// let lamps = ProductTypeName::new("lamp")?;
/// let mut state = CatalogState::default();
/// state.add_type(lamps.clone());
///
/// let (id, slug) = (ProductId::new("one-off")?, Slug::new("one-off")?);
/// let lamp = ProductContent::new(id, slug.clone(), "One-off", lamps.clone());
/// let Put::Change(change) = state.decide_put(lamp.clone(), Expected::Absent)? else {
///     panic!("it is new");
/// };
/// state.apply(&change, 1);
/// assert!(matches!(state.decide_put(lamp, Expected::Absent)?, Put::Unchanged(_)));
///
/// let other = ProductContent::new(ProductId::new("other")?, slug, "Other", lamps);
/// let refused = state.decide_put(other, Expected::Any);
/// assert!(matches!(refused, Err(CatalogError::SlugTaken { .. })));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct CatalogState {
    products: BTreeMap<ProductId, Product>,
    slugs: HashMap<Slug, ProductId>,
    /// The owner of each SKU that was ever used, also after its variant or product was deleted.
    sku_owners: HashMap<Sku, ProductId>,
    types: BTreeSet<ProductTypeName>,
}

impl CatalogState {
    /// Adds a stored product, with its slug and SKUs.
    pub fn add_product(&mut self, product: Product) {
        let content = &product.content;
        self.add_slug(content.slug.clone(), content.id.clone());
        for variant in &content.variants {
            self.add_sku(variant.sku.clone(), content.id.clone());
        }
        self.products.insert(content.id.clone(), product);
    }

    /// Adds the slug of a stored product.
    pub fn add_slug(&mut self, slug: Slug, owner: ProductId) {
        self.slugs.insert(slug, owner);
    }

    /// Adds a SKU that was ever used, and the product that used it.
    pub fn add_sku(&mut self, sku: Sku, owner: ProductId) {
        self.sku_owners.insert(sku, owner);
    }

    /// Adds a stored product type.
    pub fn add_type(&mut self, name: ProductTypeName) {
        self.types.insert(name);
    }

    /// The product of a key.
    #[must_use]
    pub fn find(&self, key: &ProductKey) -> Option<&Product> {
        match key {
            ProductKey::Id(id) => self.products.get(id),
            ProductKey::Slug(slug) => self.products.get(self.slugs.get(slug)?),
            ProductKey::Sku(sku) => {
                let product = self.products.get(self.sku_owners.get(sku)?)?;
                let mut variants = product.content.variants.iter();
                variants
                    .any(|variant| variant.sku == *sku)
                    .then_some(product)
            }
        }
    }

    /// The products whose ids come after this one, in their order.
    pub fn products_after(&self, after: Option<&ProductId>) -> impl Iterator<Item = &Product> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let products = self
            .products
            .range::<ProductId, _>((start, Bound::Unbounded));
        products.map(|(_, product)| product)
    }

    /// Decides what writing this content changes.
    ///
    /// # Errors
    /// [`VersionConflict`](CatalogError::VersionConflict) with the current product,
    /// [`UnknownProductType`](CatalogError::UnknownProductType),
    /// [`SlugTaken`](CatalogError::SlugTaken), [`SkuTaken`](CatalogError::SkuTaken), and
    /// [`Invalid`](CatalogError::Invalid) for a SKU that is in the content twice.
    pub fn decide_put(
        &self,
        content: ProductContent,
        expected: Expected,
    ) -> Result<Put, CatalogError> {
        let before = self.products.get(&content.id);
        if let Some(same) = before.filter(|before| before.content == content) {
            return Ok(Put::Unchanged(Box::new(same.clone())));
        }
        check_expected(&content.id, before, expected)?;
        self.check_owners(&content)?;
        let skus = content.variants.iter().map(|variant| &variant.sku);
        let new_skus = skus.filter(|sku| !self.sku_owners.contains_key(*sku));
        Ok(Put::Change(Box::new(Change {
            new_skus: new_skus.cloned().collect(),
            before: before.cloned(),
            content,
        })))
    }

    /// The product that a deletion removes; `None` when there is no such product, whatever was
    /// expected.
    ///
    /// # Errors
    /// [`VersionConflict`](CatalogError::VersionConflict) with the current product.
    pub fn decide_delete(
        &self,
        id: &ProductId,
        expected: Expected,
    ) -> Result<Option<&Product>, CatalogError> {
        let before = self.products.get(id);
        if before.is_some() {
            check_expected(id, before, expected)?;
        }
        Ok(before)
    }

    /// Applies a change that was decided on this state and written with this version.
    pub fn apply(&mut self, change: &Change, version: u64) {
        self.remove(&change.content.id);
        self.add_product(Product::new(change.content.clone(), version));
    }

    /// Applies a deletion. The SKUs still belong to the product.
    pub fn remove(&mut self, id: &ProductId) {
        if let Some(before) = self.products.remove(id) {
            self.slugs.remove(&before.content.slug);
        }
    }

    /// The rules between products.
    fn check_owners(&self, content: &ProductContent) -> Result<(), CatalogError> {
        if !self.types.contains(&content.product_type) {
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
}

/// The result of deciding on a put.
#[derive(Clone, Debug)]
pub enum Put {
    /// The content is stored already: nothing is written, and no version is taken.
    Unchanged(Box<Product>),
    /// The product is created or updated.
    Change(Box<Change>),
}

/// What a put changes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Change {
    /// The stored product; `None` when there is no such product.
    pub before: Option<Product>,
    /// The new content.
    pub content: ProductContent,
    /// Its SKUs that were never used before.
    pub new_skus: Vec<Sku>,
}

impl Change {
    /// The changes of the variants' rows: first the retired variants, then the others in the order
    /// of the content.
    #[must_use]
    pub fn variants(&self) -> Vec<VariantChange<'_>> {
        let before = self.before.iter().flat_map(|before| rows(&before.content));
        let mut old: HashMap<&Sku, VariantRow<'_>> = before.map(|row| (&row.1.sku, row)).collect();
        let mut written = Vec::new();
        for row in rows(&self.content) {
            written.push(match old.remove(&row.1.sku) {
                Some(before) if before == row => VariantChange::Kept(row),
                Some(before) => VariantChange::Updated(before, row),
                None => VariantChange::Inserted(row),
            });
        }
        let mut retired: Vec<_> = old.into_values().collect();
        retired.sort_by_key(|(position, _)| *position);
        let retired = retired.into_iter().map(VariantChange::Retired);
        retired.chain(written).collect()
    }

    /// The outcome of the put, with the version that was taken for it.
    #[must_use]
    pub fn written(self, version: u64) -> Written {
        let effect = match self.before {
            Some(_) => WriteEffect::Updated,
            None => WriteEffect::Created,
        };
        Written::new(Product::new(self.content, version), effect)
    }
}

/// A variant, and its position among the variants of its product.
pub type VariantRow<'a> = (usize, &'a Variant);

/// The change of a variant's row. A row with the same content and position keeps its version.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum VariantChange<'a> {
    /// The row is deleted. Its SKU still belongs to the product.
    Retired(VariantRow<'a>),
    /// The row stays as it is.
    Kept(VariantRow<'a>),
    /// The row is updated.
    Updated(VariantRow<'a>, VariantRow<'a>),
    /// The row is inserted.
    Inserted(VariantRow<'a>),
}

/// The variants of a product, each with its position.
fn rows(content: &ProductContent) -> impl Iterator<Item = VariantRow<'_>> {
    content.variants.iter().enumerate()
}

/// Refuses a SKU that is twice in one product.
pub(crate) fn check_skus_differ(content: &ProductContent) -> Result<(), CatalogError> {
    let mut seen = HashSet::new();
    for (position, variant) in rows(content) {
        if !seen.insert(&variant.sku) {
            let field = format!("variants[{position}].sku");
            let reason = "a SKU may be in a product only once";
            return Err(CatalogError::invalid(field, variant.sku.as_str(), reason));
        }
    }
    Ok(())
}

fn check_expected(
    id: &ProductId,
    current: Option<&Product>,
    expected: Expected,
) -> Result<(), CatalogError> {
    let as_expected = match (expected, current) {
        (Expected::Any, _) | (Expected::Absent, None) => true,
        (Expected::Version(version), Some(current)) => version == current.version,
        (Expected::Absent, Some(_)) | (Expected::Version(_), None) => false,
    };
    if as_expected {
        return Ok(());
    }
    Err(CatalogError::VersionConflict {
        id: id.clone(),
        expected,
        current: current.map(|current| Box::new(current.clone())),
    })
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
