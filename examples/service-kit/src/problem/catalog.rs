//! Errors of the catalogue.

use serde_json::{Value, json};
use stockade_catalog_core::{CatalogError, Product};

use super::{Problem, ProblemType};

impl From<CatalogError> for Problem {
    fn from(error: CatalogError) -> Self {
        let detail = error.to_string();
        let of = |kind| Self::new(kind, detail);
        match error {
            CatalogError::Invalid { field, .. } => {
                of(ProblemType::INVALID_VALUE).with("field", field)
            }
            CatalogError::SchemaViolated { violations, .. } => {
                let first = violations.first().map(|violation| violation.field.clone());
                let violations: Vec<_> = violations
                    .iter()
                    .map(|violation| json!({"field": violation.field, "reason": violation.reason}))
                    .collect();
                of(ProblemType::SCHEMA_VIOLATED)
                    .with("field", first.unwrap_or_else(|| "attributes".to_owned()))
                    .with("violations", violations)
            }
            CatalogError::UnknownProductType { .. } => {
                of(ProblemType::UNKNOWN_PRODUCT_TYPE).with("field", "product_type")
            }
            CatalogError::VersionConflict { current, .. } => {
                let current = current.map_or(Value::Null, |product| product_json(&product));
                of(ProblemType::VERSION_CONFLICT)
                    .with("field", "version")
                    .with("current", current)
            }
            CatalogError::SlugTaken { .. } => of(ProblemType::SLUG_TAKEN).with("field", "slug"),
            CatalogError::SkuTaken { sku, .. } => of(ProblemType::SKU_TAKEN)
                .with("field", "variants")
                .with("sku", sku.as_str()),
            CatalogError::Inventory(error) => error.into(),
            other => Self::of_failure(&other, other.retry()),
        }
    }
}

/// A product as HTTP clients see it: the members of its content, and `version`. A problem of the
/// type [`VERSION_CONFLICT`](ProblemType::VERSION_CONFLICT) has it as `current`.
#[must_use]
pub fn product_json(product: &Product) -> Value {
    let mut body = json!(product.content);
    body["version"] = json!(product.version);
    body
}
