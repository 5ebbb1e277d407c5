//! The trait that a store of products implements.

use std::fmt;
use std::num::NonZeroUsize;

use async_trait::async_trait;
use auto_impl::auto_impl;
use stockade_inventory_core::Sku;

use crate::error::CatalogError;
use crate::product::{
    Attributes, Product, ProductContent, ProductId, ProductType, ProductTypeName, Slug,
};

/// Keeps products, their variants and their types.
///
/// It keeps the rules between rows: unique slugs, no variant without a product, SKUs that are never
/// reused, versions that rise. The content of a single product is checked before, by
/// [`Catalog`](crate::Catalog).
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
#[auto_impl(&, Box, Arc)]
pub trait CatalogStore: Send + Sync {
    /// Writes whole products, one after the other, each on its own, and returns an outcome for
    /// each.
    ///
    /// - A product and its variants change together or not at all.
    /// - Content equal to the stored content changes nothing, whatever version was expected, so a
    ///   repeated write does not conflict with itself. It takes no version and writes no row.
    /// - Otherwise the version rises, and only rows that differ are written. All rows of one write
    ///   get its version.
    /// - A variant that is left out is retired. Its SKU belongs to the product for ever.
    /// - A deleted product may be put again under its id. Its version continues to rise.
    ///
    /// Outcomes: [`VersionConflict`](CatalogError::VersionConflict) with the current product,
    /// [`SlugTaken`](CatalogError::SlugTaken), [`SkuTaken`](CatalogError::SkuTaken),
    /// [`UnknownProductType`](CatalogError::UnknownProductType).
    ///
    /// # Errors
    /// When the call failed as a whole, in the same way for each write.
    async fn put(
        &self,
        writes: &[ProductWrite],
    ) -> Result<Vec<Result<Written, CatalogError>>, CatalogError>;

    /// Deletes a product and its variants together. Succeeds if there is no such product, whatever
    /// version was expected.
    ///
    /// # Errors
    /// [`CatalogError::VersionConflict`].
    async fn delete(&self, id: &ProductId, expected: Expected) -> Result<Deleted, CatalogError>;

    /// The product of each key, in their order, in one round trip; `None` when there is no such
    /// product. A product and its variants are from the same snapshot.
    ///
    /// # Errors
    /// [`CatalogError::Failed`] and similar errors, for all of them together.
    async fn get(&self, keys: &[ProductKey]) -> Result<Vec<Option<Product>>, CatalogError>;

    /// At most [`limit`](ProductQuery::limit) products that match, in the order of their ids.
    ///
    /// # Errors
    /// [`CatalogError::Failed`] and similar errors.
    async fn find(&self, query: &ProductQuery) -> Result<Vec<Product>, CatalogError>;

    /// Creates a product type, or replaces the one with its name. Existing products stay as they
    /// are.
    ///
    /// # Errors
    /// [`CatalogError::Failed`] and similar errors.
    async fn put_type(&self, product_type: &ProductType) -> Result<(), CatalogError>;

    /// The product types of these names, in their order; `None` when there is no such type.
    ///
    /// # Errors
    /// [`CatalogError::Failed`] and similar errors.
    async fn get_types(
        &self,
        names: &[ProductTypeName],
    ) -> Result<Vec<Option<ProductType>>, CatalogError>;

    /// All product types, by name.
    ///
    /// # Errors
    /// [`CatalogError::Failed`] and similar errors.
    async fn all_types(&self) -> Result<Vec<ProductType>, CatalogError>;
}

/// A product to be written.
///
/// Exhaustive on purpose: a store that ignores a field must not compile.
#[derive(Clone, Debug, PartialEq)]
pub struct ProductWrite {
    /// The new content.
    pub content: ProductContent,
    /// The expected state before the write.
    pub expected: Expected,
}

/// The state in which a product must be before it is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Any state.
    Any,
    /// Absent: never written, or deleted.
    Absent,
    /// At this version.
    Version(u64),
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("anything"),
            Self::Absent => f.write_str("absent"),
            Self::Version(version) => write!(f, "at version {version}"),
        }
    }
}

/// A write that succeeded.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Written {
    /// The product as it is now.
    pub product: Product,
    /// What the write did.
    pub effect: WriteEffect,
}

impl Written {
    /// The outcome of a write.
    #[must_use]
    pub fn new(product: Product, effect: WriteEffect) -> Self {
        Self { product, effect }
    }
}

/// The effect of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WriteEffect {
    /// The product was created.
    Created,
    /// The product was changed.
    Updated,
    /// The content was stored already.
    Unchanged,
}

/// The effect of a deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Deleted {
    /// The product was deleted.
    Removed,
    /// There was no such product.
    Absent,
}

/// How a product is found.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ProductKey {
    /// By its id.
    Id(ProductId),
    /// By its slug.
    Slug(Slug),
    /// By the SKU of one of its current variants.
    Sku(Sku),
}

/// Which products to list.
///
/// Exhaustive on purpose: a store that ignores a condition must not compile.
#[derive(Clone, Debug, PartialEq)]
pub struct ProductQuery {
    /// Only products of this type.
    pub product_type: Option<ProductTypeName>,
    /// Only products whose attributes contain these, as with Postgres' `@>` on JSONB: objects by
    /// their members, arrays by their elements in any order, everything else by equality.
    pub attributes: Attributes,
    /// Only products whose id comes after this one.
    pub after: Option<ProductId>,
    /// At most this many products.
    pub limit: NonZeroUsize,
}

impl ProductQuery {
    /// The first products, without a filter.
    #[must_use]
    pub fn first(limit: NonZeroUsize) -> Self {
        Self {
            product_type: None,
            attributes: Attributes::new(),
            after: None,
            limit,
        }
    }
}
