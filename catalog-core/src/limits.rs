//! What a single product or product type may contain, whatever its type says.

use std::collections::HashSet;

use crate::error::CatalogError;
use crate::product::ProductContent;

/// No SKU twice in one product.
pub(crate) fn check_skus_differ(content: &ProductContent) -> Result<(), CatalogError> {
    let mut seen = HashSet::new();
    let twice = (content.variants.iter().enumerate()).find(|(_, v)| !seen.insert(&v.sku));
    match twice {
        None => Ok(()),
        Some((position, variant)) => Err(CatalogError::invalid(
            format!("variants[{position}].sku"),
            variant.sku.as_str(),
            "a SKU may be in a product only once",
        )),
    }
}
