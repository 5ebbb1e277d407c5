//! The error of this crate, and what a caller can do after it.

use stockade_change_feed::{Failing, Failure, FeedError, Retry, shorten};
use stockade_inventory_core::{InventoryError, Sku};

use crate::product::{Product, ProductId, ProductTypeName, Slug};
use crate::store::Expected;

/// An error of a catalogue.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogError {
    /// A value is not allowed.
    #[error("{field} is invalid: {reason}; got {value:?}")]
    Invalid {
        /// The path of the input, such as `variants[2].price.currency`.
        field: String,
        /// Its value, shortened if long.
        value: String,
        /// What is allowed.
        reason: String,
    },
    /// Attributes do not follow the schema of their product type.
    #[error("product {product} does not follow the schema of type {product_type}: {}", violations.first().map_or_else(String::new, ToString::to_string))]
    SchemaViolated {
        /// The product.
        product: ProductId,
        /// Its type.
        product_type: ProductTypeName,
        /// The violations, at most 20.
        violations: Vec<Violation>,
    },
    /// There is no such product type.
    #[error("product type {name} does not exist; put it first")]
    UnknownProductType {
        /// The requested name.
        name: ProductTypeName,
    },
    /// The product is not in the version that the caller expected.
    #[error("product {id} was expected to be {expected}, and is {}", match current { Some(product) => format!("at version {}", product.version), None => "absent".to_owned() })]
    VersionConflict {
        /// The product.
        id: ProductId,
        /// What the caller expected.
        expected: Expected,
        /// The stored product, if there is one.
        current: Option<Box<Product>>,
    },
    /// Another product has the slug.
    #[error("slug {slug} belongs to product {owner}; choose another")]
    SlugTaken {
        /// The slug.
        slug: Slug,
        /// The product that has the slug.
        owner: ProductId,
    },
    /// The SKU belongs, or once belonged, to another product. A SKU is never reused.
    #[error("SKU {sku} belongs, or once belonged, to product {owner}; a SKU is never reused")]
    SkuTaken {
        /// The SKU.
        sku: Sku,
        /// The product that the SKU belongs to.
        owner: ProductId,
    },
    /// The backend did not do what was asked.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// Stored data breaks a rule.
    #[error("stored data is damaged: {what}")]
    Damaged {
        /// What was found, and in which row.
        what: String,
    },
    /// A call of inventory failed.
    #[error(transparent)]
    Inventory(#[from] InventoryError),
    /// A call of the change feed failed.
    #[error(transparent)]
    Feed(#[from] FeedError),
}

impl CatalogError {
    /// A [`CatalogError::Invalid`], with the value shortened to fit a line.
    pub fn invalid(
        field: impl Into<String>,
        value: impl AsRef<str>,
        reason: impl Into<String>,
    ) -> Self {
        Self::Invalid {
            field: field.into(),
            value: shorten(value.as_ref()),
            reason: reason.into(),
        }
    }

    /// What the caller may do.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Failed(failure) => failure.retry(),
            Self::Inventory(error) => error.retry(),
            Self::Feed(error) => error.retry(),
            Self::Invalid { .. }
            | Self::SchemaViolated { .. }
            | Self::UnknownProductType { .. }
            | Self::VersionConflict { .. }
            | Self::SlugTaken { .. }
            | Self::SkuTaken { .. }
            | Self::Damaged { .. } => Retry::Never,
        }
    }
}

impl Failing for CatalogError {
    fn retry(&self) -> Retry {
        self.retry()
    }

    fn is_decision(&self) -> bool {
        !matches!(
            self,
            Self::Failed(_) | Self::Damaged { .. } | Self::Inventory(_) | Self::Feed(_)
        )
    }
}

/// One place where a value breaks a JSON Schema.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// The place, such as `attributes.wood_type`.
    pub field: String,
    /// What the schema requires.
    pub reason: String,
}

impl Violation {
    /// A violation.
    pub fn new(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            reason: reason.into(),
        }
    }
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.field, self.reason)
    }
}
