//! Converts rows to products.

use std::collections::BTreeMap;

use serde_json::Value;
use sqlx::types::Json;
use stockade_catalog_core::{
    Attributes, CatalogError, Currency, Media, Money, Product, ProductContent, ProductId,
    ProductStatus, ProductType, ProductTypeName, Slug, Variant,
};
use stockade_inventory_core::Sku;

use crate::error::PostgresError;

/// A product's row, with the rows of its variants.
pub(super) type ProductRow = (
    String,
    String,
    String,
    String,
    Option<String>,
    Json<Vec<String>>,
    String,
    String,
    Json<Vec<Media>>,
    Json<Attributes>,
    i64,
    Json<Vec<VariantRow>>,
);

type VariantRow = (
    Sku,
    Option<String>,
    BTreeMap<String, String>,
    Option<u64>,
    Option<Currency>,
    Attributes,
);

pub(super) type TypeRow = (String, Json<Value>, Json<Value>);

pub(super) fn product_of(row: ProductRow) -> Result<Product, PostgresError> {
    let (
        id,
        slug,
        title,
        description,
        brand,
        Json(category),
        product_type,
        status,
        Json(media),
        Json(attributes),
        version,
        Json(variants),
    ) = row;
    let id = ProductId::new(id).map_err(damaged)?;
    let product_type = ProductTypeName::new(product_type).map_err(damaged)?;
    let mut content =
        ProductContent::new(id, Slug::new(slug).map_err(damaged)?, title, product_type);
    content.description = description;
    content.brand = brand;
    content.category = category;
    content.status = status_of(&status)?;
    content.media = media;
    content.attributes = attributes;
    for (sku, name, options, minor, currency, attributes) in variants {
        let price = minor.zip(currency);
        content.variants.push(Variant {
            sku,
            name,
            options,
            price: price.map(|(minor, currency)| Money { minor, currency }),
            attributes,
        });
    }
    Ok(Product::new(content, version_of(version)?))
}

pub(super) fn version_of(version: i64) -> Result<u64, PostgresError> {
    u64::try_from(version).map_err(|_| PostgresError::Damaged {
        what: format!("a version is {version}"),
    })
}

pub(super) fn type_of(row: TypeRow) -> Result<ProductType, PostgresError> {
    let (name, Json(schema), Json(variant_schema)) = row;
    Ok(ProductType {
        name: ProductTypeName::new(name).map_err(damaged)?,
        schema,
        variant_schema,
    })
}

fn status_of(name: &str) -> Result<ProductStatus, PostgresError> {
    const ALL: [ProductStatus; 3] = [
        ProductStatus::Draft,
        ProductStatus::Active,
        ProductStatus::Archived,
    ];
    let found = ALL.into_iter().find(|status| status.as_str() == name);
    found.ok_or_else(|| PostgresError::Damaged {
        what: format!("a product has the status {name:?}"),
    })
}

pub(super) fn damaged(error: impl Into<CatalogError>) -> PostgresError {
    let what = error.into().to_string();
    PostgresError::Damaged { what }
}
