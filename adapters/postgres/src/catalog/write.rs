//! Writes the rows that a change affects: only those that differ.

use sqlx::{PgConnection, SqlStr};
use stockade_catalog_core::rules::{Change, VariantChange, VariantRow};
use stockade_catalog_core::{ProductContent, ProductId};
use stockade_inventory_core::Sku;

use super::statements::Statements;
use crate::error::{PostgresError, failed};

const OPERATION: &str = "put products";

/// The rows of some changes, by the kind of write.
#[derive(Default)]
pub(super) struct Rows {
    sku_claims: Vec<(Sku, ProductId)>,
    updated_products: Products,
    inserted_products: Products,
    deleted_variants: Vec<String>,
    updated_variants: Variants,
    inserted_variants: Variants,
}

impl Rows {
    pub(super) fn add(&mut self, change: &Change, version: i64) {
        let content = &change.content;
        let claims = change.new_skus.iter();
        self.sku_claims
            .extend(claims.map(|sku| (sku.clone(), content.id.clone())));
        let products = match change.before {
            Some(_) => &mut self.updated_products,
            None => &mut self.inserted_products,
        };
        products.add(content, version);
        for variant in change.variants() {
            match variant {
                VariantChange::Kept(_) => {}
                VariantChange::Retired((_, variant)) => {
                    self.deleted_variants.push(variant.sku.as_str().to_owned());
                }
                VariantChange::Updated(_, row) => {
                    self.updated_variants.add(&content.id, row, version);
                }
                VariantChange::Inserted(row) => {
                    self.inserted_variants.add(&content.id, row, version);
                }
            }
        }
    }

    /// Writes the rows, a product before its variants.
    pub(super) async fn write(
        self,
        connection: &mut PgConnection,
        statements: &Statements,
    ) -> Result<(), PostgresError> {
        if !self.sku_claims.is_empty() {
            let claims = self.sku_claims.iter();
            let skus: Vec<&str> = claims.clone().map(|(sku, _)| sku.as_str()).collect();
            let owners: Vec<&str> = claims.map(|(_, owner)| owner.as_str()).collect();
            let claim = sqlx::query(statements.claim_skus.clone())
                .bind(skus)
                .bind(owners);
            claim
                .execute(&mut *connection)
                .await
                .map_err(failed(OPERATION))?;
        }
        self.updated_products
            .write(connection, &statements.update_products)
            .await?;
        self.inserted_products
            .write(connection, &statements.insert_products)
            .await?;
        if !self.deleted_variants.is_empty() {
            sqlx::query(statements.delete_variants.clone())
                .bind(self.deleted_variants)
                .execute(&mut *connection)
                .await
                .map_err(failed(OPERATION))?;
        }
        self.updated_variants
            .write(connection, &statements.update_variants)
            .await?;
        self.inserted_variants
            .write(connection, &statements.insert_variants)
            .await
    }
}

/// Columns of rows of `products`.
#[derive(Default)]
struct Products {
    id: Vec<String>,
    slug: Vec<String>,
    title: Vec<String>,
    description: Vec<String>,
    brand: Vec<Option<String>>,
    category: Vec<String>,
    product_type: Vec<String>,
    status: Vec<String>,
    media: Vec<String>,
    attributes: Vec<String>,
    version: Vec<i64>,
}

impl Products {
    fn add(&mut self, content: &ProductContent, version: i64) {
        self.id.push(content.id.as_str().to_owned());
        self.slug.push(content.slug.as_str().to_owned());
        self.title.push(content.title.clone());
        self.description.push(content.description.clone());
        self.brand.push(content.brand.clone());
        self.category.push(json(&content.category));
        self.product_type
            .push(content.product_type.as_str().to_owned());
        self.status.push(content.status.as_str().to_owned());
        self.media.push(json(&content.media));
        self.attributes.push(json(&content.attributes));
        self.version.push(version);
    }

    async fn write(
        self,
        connection: &mut PgConnection,
        statement: &SqlStr,
    ) -> Result<(), PostgresError> {
        if self.id.is_empty() {
            return Ok(());
        }
        let written = sqlx::query(statement.clone())
            .bind(self.id)
            .bind(self.slug)
            .bind(self.title)
            .bind(self.description)
            .bind(self.brand)
            .bind(self.category)
            .bind(self.product_type)
            .bind(self.status)
            .bind(self.media)
            .bind(self.attributes)
            .bind(self.version)
            .execute(connection)
            .await;
        written.map(drop).map_err(failed(OPERATION))
    }
}

/// Columns of rows of `variants`.
#[derive(Default)]
struct Variants {
    sku: Vec<String>,
    product_id: Vec<String>,
    position: Vec<i32>,
    name: Vec<Option<String>>,
    options: Vec<String>,
    price_minor: Vec<Option<i64>>,
    currency: Vec<Option<String>>,
    attributes: Vec<String>,
    version: Vec<i64>,
}

impl Variants {
    fn add(&mut self, product: &ProductId, (position, variant): VariantRow<'_>, version: i64) {
        self.sku.push(variant.sku.as_str().to_owned());
        self.product_id.push(product.as_str().to_owned());
        self.position
            .push(i32::try_from(position).unwrap_or(i32::MAX));
        self.name.push(variant.name.clone());
        self.options.push(json(&variant.options));
        let price = variant.price.as_ref();
        // The constraint of the table refuses what does not fit.
        self.price_minor
            .push(price.map(|price| i64::try_from(price.minor).unwrap_or(i64::MAX)));
        self.currency
            .push(price.map(|price| price.currency.as_str().to_owned()));
        self.attributes.push(json(&variant.attributes));
        self.version.push(version);
    }

    async fn write(
        self,
        connection: &mut PgConnection,
        statement: &SqlStr,
    ) -> Result<(), PostgresError> {
        if self.sku.is_empty() {
            return Ok(());
        }
        let written = sqlx::query(statement.clone())
            .bind(self.sku)
            .bind(self.product_id)
            .bind(self.position)
            .bind(self.name)
            .bind(self.options)
            .bind(self.price_minor)
            .bind(self.currency)
            .bind(self.attributes)
            .bind(self.version)
            .execute(connection)
            .await;
        written.map(drop).map_err(failed(OPERATION))
    }
}

fn json(value: &(impl serde::Serialize + ?Sized)) -> String {
    serde_json::to_string(value).expect("strings, numbers and JSON always serialize")
}
