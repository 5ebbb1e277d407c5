//! The names of the metrics, and the values of their labels.

use crate::error::CatalogError;

/// Calls of the catalogue by `operation` and `outcome`; each product of a write counts.
pub(crate) const OPERATIONS: &str = "stockade_catalog_operations_total";
/// Duration of the store's calls, by `operation`.
pub(crate) const OPERATION_SECONDS: &str = "stockade_catalog_operation_seconds";

/// The outcome of a call, as a label.
pub(crate) fn outcome<T>(outcome: &Result<T, CatalogError>) -> &'static str {
    match outcome {
        Ok(_) => "ok",
        Err(error) => match error {
            CatalogError::Invalid { .. } => "invalid",
            CatalogError::SchemaViolated { .. } => "schema_violated",
            CatalogError::UnknownProductType { .. } => "unknown_product_type",
            CatalogError::VersionConflict { .. } => "version_conflict",
            CatalogError::SlugTaken { .. } => "slug_taken",
            CatalogError::SkuTaken { .. } => "sku_taken",
            CatalogError::Failed(failure) => failure.outcome(),
            CatalogError::Damaged { .. } => "damaged",
            CatalogError::Inventory(_) => "inventory",
            CatalogError::Feed(_) => "feed",
        },
    }
}
