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
/// It keeps the rules between rows: unique slugs, no variant without a product, SKUs that are
/// never reused, versions that rise. What a single product may contain is decided before, by
/// [`Catalog`](crate::Catalog).
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
#[auto_impl(&, Box, Arc)]
pub trait CatalogStore: Send + Sync {
    /// Writes products whole, one after the other, each for itself, and returns an outcome for
    /// each.
    ///
    /// - A product and its variants change together or not at all.
    /// - Content equal to what is stored changes nothing, whatever version was expected: so a
    ///   repeated write does not conflict with itself. Nor does it draw a version or touch a row.
    /// - Otherwise the version rises, and only rows that differ are written; all rows of one write
    ///   get its version.
    /// - A variant that is left out is retired: its SKU stays the product's for good.
    /// - A deleted product may be put again under its id; its version goes on rising.
    ///
    /// Outcomes: [`VersionConflict`](CatalogError::VersionConflict) with the current product,
    /// [`SlugTaken`](CatalogError::SlugTaken), [`SkuTaken`](CatalogError::SkuTaken),
    /// [`UnknownProductType`](CatalogError::UnknownProductType).
    ///
    /// # Errors
    /// Where the call failed as a whole, in the same way for each write.
    async fn put(
        &self,
        writes: &[ProductWrite],
    ) -> Result<Vec<Result<Written, CatalogError>>, CatalogError>;

    /// Deletes a product and its variants together. Deleting what is not there succeeds, whatever
    /// version was expected.
    ///
    /// # Errors
    /// [`CatalogError::VersionConflict`].
    async fn delete(&self, id: &ProductId, expected: Expected) -> Result<Deleted, CatalogError>;

    /// The product of each key, in their order, in one round trip; `None` for what is not there.
    /// A product's variants are of the same snapshot as itself.
    ///
    /// # Errors
    /// [`CatalogError::Failed`] and the like, for all of them together.
    async fn get(&self, keys: &[ProductKey]) -> Result<Vec<Option<Product>>, CatalogError>;

    /// At most [`limit`](ProductQuery::limit) products that match, in the order of their ids.
    ///
    /// # Errors
    /// [`CatalogError::Failed`] and the like.
    async fn find(&self, query: &ProductQuery) -> Result<Vec<Product>, CatalogError>;

    /// Writes a product type in place of the one of its name. Existing products stay as they are.
    ///
    /// # Errors
    /// [`CatalogError::Failed`] and the like.
    async fn put_type(&self, product_type: &ProductType) -> Result<(), CatalogError>;

    /// The product types of these names, in their order; `None` for what is not there.
    ///
    /// # Errors
    /// [`CatalogError::Failed`] and the like.
    async fn get_types(
        &self,
        names: &[ProductTypeName],
    ) -> Result<Vec<Option<ProductType>>, CatalogError>;

    /// All product types, by name.
    ///
    /// # Errors
    /// [`CatalogError::Failed`] and the like.
    async fn all_types(&self) -> Result<Vec<ProductType>, CatalogError>;
}

/// A product to be written.
///
/// Exhaustive: a store that ignores a field must not compile.
#[derive(Clone, Debug, PartialEq)]
pub struct ProductWrite {
    /// What it shall be.
    pub content: ProductContent,
    /// What it has to be before.
    pub expected: Expected,
}

/// What a product has to be before it is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// Whatever it is.
    Any,
    /// Not there: never written, or deleted.
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

/// What a write did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WriteEffect {
    /// The product is there since.
    Created,
    /// It was there and changed.
    Updated,
    /// It was already so.
    Unchanged,
}

/// What a deletion did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Deleted {
    /// The product was there and is gone.
    Removed,
    /// There was nothing to delete.
    Absent,
}

/// How a product is found.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ProductKey {
    /// By its id.
    Id(ProductId),
    /// By its slug.
    Slug(Slug),
    /// By the SKU of a variant that it has now.
    Sku(Sku),
}

/// Which products to list.
///
/// Exhaustive: a store that ignores a condition must not compile.
#[derive(Clone, Debug, PartialEq)]
pub struct ProductQuery {
    /// Only of this type.
    pub product_type: Option<ProductTypeName>,
    /// Only those whose attributes contain these, as Postgres' `@>` on JSONB has it: objects by
    /// their members, arrays by their elements in any order, everything else by equality.
    pub attributes: Attributes,
    /// Only those whose id comes after this one.
    pub after: Option<ProductId>,
    /// At most this many.
    pub limit: NonZeroUsize,
}

impl ProductQuery {
    /// The first products, whatever they are.
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
