//! The rows of a catalogue in a change feed: the columns of its two tables, as Debezium renders
//! them from Postgres.
//!
//! | `products` | |
//! |---|---|
//! | `product_id`, `slug`, `title`, `description`, `product_type`, `status` | text |
//! | `brand` | text or null |
//! | `category`, `media`, `attributes` | JSONB: a string that holds JSON |
//! | `version` | bigint |
//!
//! | `variants` | |
//! |---|---|
//! | `sku`, `product_id` | text |
//! | `position` | integer, from 0 |
//! | `name` | text or null |
//! | `options`, `attributes` | JSONB: a string that holds JSON |
//! | `price_minor`, `currency` | bigint and text, or null |
//! | `version` | bigint |
//!
//! Records of both tables have `product_id` as their key, so that the rows of one product keep
//! their order. Each row has the version that it was last written with. All versions come from one
//! sequence.

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};
use stockade_change_feed::Topic;
use stockade_change_feed::debezium::Columns;

use crate::product::{Product, ProductId, Variant};

/// The Postgres schema of both tables.
pub const SCHEMA: &str = "catalog";
/// The table of products.
pub const PRODUCTS: &str = "products";
/// The table of variants.
pub const VARIANTS: &str = "variants";

/// The default topic for changes of both tables.
///
/// # Panics
/// Never: the constant is a valid name.
#[must_use]
pub fn catalog_changes() -> Topic {
    Topic::new("catalog_changes").expect("the constant follows the rule")
}

/// The key of a product's rows in the feed, in both tables: `{"product_id":"tee"}`.
#[must_use]
pub fn key(product: &ProductId) -> Bytes {
    Bytes::from(json!({ "product_id": product }).to_string())
}

/// The row of a product.
#[must_use]
pub fn product_row(product: &Product) -> Columns {
    let content = &product.content;
    columns([
        ("product_id", json!(content.id)),
        ("slug", json!(content.slug)),
        ("title", json!(content.title)),
        ("description", json!(content.description)),
        ("brand", json!(content.brand)),
        ("category", jsonb(&content.category)),
        ("product_type", json!(content.product_type)),
        ("status", json!(content.status.as_str())),
        ("media", jsonb(&content.media)),
        ("attributes", jsonb(&content.attributes)),
        ("version", json!(product.version)),
    ])
}

/// The row of a variant of `product` at `position`, counted from 0, that was last written with
/// `version`.
#[must_use]
pub fn variant_row(
    product: &ProductId,
    position: usize,
    variant: &Variant,
    version: u64,
) -> Columns {
    let price = variant.price.as_ref();
    columns([
        ("sku", json!(variant.sku)),
        ("product_id", json!(product)),
        ("position", json!(position)),
        ("name", json!(variant.name)),
        ("options", jsonb(&variant.options)),
        ("price_minor", json!(price.map(|price| price.minor))),
        ("currency", json!(price.map(|price| price.currency))),
        ("attributes", jsonb(&variant.attributes)),
        ("version", json!(version)),
    ])
}

fn columns<const N: usize>(columns: [(&str, Value); N]) -> Columns {
    columns
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

fn jsonb(value: &impl Serialize) -> Value {
    let json = serde_json::to_string(value).expect("strings, numbers and JSON always serialize");
    Value::String(json)
}

#[cfg(test)]
mod tests {
    use stockade_inventory_core::Sku;

    use super::*;
    use crate::product::{Currency, Media, Money, ProductContent, ProductTypeName, Slug};

    fn tee() -> ProductContent {
        ProductContent::new(
            ProductId::new("tee").unwrap(),
            Slug::new("monospace-tee").unwrap(),
            "Monospace Tee",
            ProductTypeName::new("shirt").unwrap(),
        )
    }

    #[test]
    fn a_product_row_has_every_column_and_jsonb_as_strings() {
        let mut content = tee();
        content.category = vec!["Apparel".to_owned(), "T-shirts".to_owned()];
        content.media = vec![Media {
            url: "https://example.com/tee.png".to_owned(),
            alt: "A tee".to_owned(),
        }];
        content
            .attributes
            .insert("material".into(), json!("cotton"));
        assert_eq!(
            Value::Object(product_row(&Product::new(content, 7))),
            json!({
                "product_id": "tee",
                "slug": "monospace-tee",
                "title": "Monospace Tee",
                "description": "",
                "brand": null,
                "category": r#"["Apparel","T-shirts"]"#,
                "product_type": "shirt",
                "status": "active",
                "media": r#"[{"url":"https://example.com/tee.png","alt":"A tee"}]"#,
                "attributes": r#"{"material":"cotton"}"#,
                "version": 7,
            })
        );
    }

    #[test]
    fn a_variant_row_has_every_column_with_and_without_a_price() {
        let mut variant = Variant::new(Sku::new("tee-m").unwrap());
        variant.options.insert("size".to_owned(), "M".to_owned());
        let row = variant_row(&tee().id, 1, &variant, 9);
        let expected = json!({
            "sku": "tee-m",
            "product_id": "tee",
            "position": 1,
            "name": null,
            "options": r#"{"size":"M"}"#,
            "price_minor": null,
            "currency": null,
            "attributes": "{}",
            "version": 9,
        });
        assert_eq!(Value::Object(row), expected);

        variant.price = Some(Money {
            minor: 1999,
            currency: Currency::new("USD").unwrap(),
        });
        let row = variant_row(&tee().id, 1, &variant, 9);
        assert_eq!(row["price_minor"], 1999);
        assert_eq!(row["currency"], "USD");
    }

    #[test]
    fn the_key_is_the_primary_key_as_json() {
        assert_eq!(key(&tee().id), r#"{"product_id":"tee"}"#);
    }
}
