//! What becomes of a write, decided on rows that nobody else can change meanwhile.

use std::collections::{HashMap, HashSet};

use stockade_catalog_core::{
    CatalogError, Expected, Product, ProductContent, ProductId, ProductTypeName, ProductWrite,
    Slug, WriteEffect, Written,
};
use stockade_inventory_core::Sku;

use super::json::as_stored;

/// What is stored, as far as some writes touch it.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) products: HashMap<ProductId, Product>,
    pub(super) slugs: HashMap<Slug, ProductId>,
    pub(super) sku_owners: HashMap<Sku, ProductId>,
    pub(super) types: HashSet<ProductTypeName>,
}

/// What becomes of a write.
#[derive(Debug)]
pub(super) enum Decision {
    Unchanged(Box<Product>),
    Refused(CatalogError),
    Change(Box<Change>),
}

/// A product that is to be written.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) before: Option<Product>,
    pub(super) content: ProductContent,
    /// SKUs that were nobody's.
    pub(super) new_skus: Vec<Sku>,
}

impl Change {
    pub(super) fn written(self, version: u64) -> Written {
        let effect = match self.before {
            Some(_) => WriteEffect::Updated,
            None => WriteEffect::Created,
        };
        Written::new(Product::new(self.content, version), effect)
    }
}

impl Known {
    /// Decides writes one after the other. No two may be of one product.
    pub(super) fn decide(mut self, writes: &[&ProductWrite]) -> Vec<Decision> {
        writes.iter().map(|write| self.decide_one(write)).collect()
    }

    fn decide_one(&mut self, write: &ProductWrite) -> Decision {
        let content = as_stored(&write.content);
        let before = self.products.remove(&content.id);
        if let Some(same) = unchanged(before.as_ref(), &content) {
            return Decision::Unchanged(Box::new(same));
        }
        let allowed = check_expected(&content.id, before.as_ref(), write.expected)
            .and_then(|()| self.check_rules(&content));
        if let Err(refusal) = allowed {
            return Decision::Refused(refusal);
        }
        if let Some(before) = &before {
            self.slugs.remove(&before.content.slug);
        }
        self.slugs.insert(content.slug.clone(), content.id.clone());
        let mut new_skus = Vec::new();
        for variant in &content.variants {
            let owner = content.id.clone();
            if self.sku_owners.insert(variant.sku.clone(), owner).is_none() {
                new_skus.push(variant.sku.clone());
            }
        }
        Decision::Change(Box::new(Change {
            before,
            content,
            new_skus,
        }))
    }

    /// The rules between rows.
    fn check_rules(&self, content: &ProductContent) -> Result<(), CatalogError> {
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
        let mut seen = HashSet::new();
        for (position, variant) in content.variants.iter().enumerate() {
            if !seen.insert(&variant.sku) {
                let reason = "a SKU may be in a product only once";
                let field = format!("variants[{position}].sku");
                return Err(CatalogError::invalid(field, variant.sku.as_str(), reason));
            }
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

/// The stored product, where this is its content.
pub(super) fn unchanged(before: Option<&Product>, content: &ProductContent) -> Option<Product> {
    let same = before.filter(|before| before.content == *content);
    same.cloned()
}

pub(super) fn check_expected(
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
