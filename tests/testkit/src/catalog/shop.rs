//! Helpers for the cases of a catalogue.

use std::num::NonZeroUsize;
use std::sync::Arc;

use serde_json::{Value, json};
use stockade_catalog_core::{
    Attributes, CatalogError, CatalogStore, Currency, Deleted, Expected, Media, Money, Product,
    ProductContent, ProductId, ProductKey, ProductQuery, ProductStatus, ProductType,
    ProductTypeName, ProductWrite, Slug, Variant, WriteEffect, Written,
};
use stockade_inventory_core::Sku;

use super::CatalogHarness;

pub(crate) fn id(text: &str) -> ProductId {
    ProductId::new(text).expect("cases use valid ids")
}

pub(crate) fn slug(text: &str) -> Slug {
    Slug::new(text).expect("cases use valid slugs")
}

pub(crate) fn sku(text: &str) -> Sku {
    Sku::new(text).expect("cases use valid SKUs")
}

pub(crate) fn type_name(text: &str) -> ProductTypeName {
    ProductTypeName::new(text).expect("cases use valid names")
}

pub(crate) fn money(minor: u64, currency: &str) -> Money {
    let currency = Currency::new(currency).expect("cases use valid currencies");
    Money { minor, currency }
}

/// The members of a JSON object.
pub(crate) fn object(value: Value) -> Attributes {
    match value {
        Value::Object(members) => members,
        other => panic!("cases use objects as attributes, not {other}"),
    }
}

/// The type of the products of most cases, which allows everything.
pub(crate) fn shirt() -> ProductType {
    ProductType::permissive(type_name("shirt"))
}

/// A shirt with these SKUs.
pub(crate) fn product(name: &str, skus: &[&str]) -> ProductContent {
    let mut content = ProductContent::new(id(name), slug(name), name, shirt().name);
    content.variants = skus.iter().map(|text| Variant::new(sku(text))).collect();
    content
}

/// A shirt with something in every field.
pub(crate) fn full_product() -> ProductContent {
    let mut small = Variant::new(sku("tee-s"));
    small.name = Some("S".to_owned());
    small.options = [("size", "S"), ("color", "white")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    small.price = Some(money(1_999, "EUR"));
    small.attributes = object(json!({"ean": "4006381333931", "weight": 0.18}));
    let mut content = product("tee", &[]);
    content.slug = slug("monospace-tee");
    content.title = "Monospace Tee".to_owned();
    content.description = "Your second skin.\nFlows with you.".to_owned();
    content.brand = Some("Loom".to_owned());
    content.category = ["Apparel", "Shirts", "T-shirts"].map(str::to_owned).into();
    content.status = ProductStatus::Draft;
    content.media = ["front", "back"].map(|side| media(side, "A tee")).into();
    content.attributes = object(json!({"material": ["cotton", "linen"], "care": {"wash": 30}}));
    content.variants = vec![small, Variant::new(sku("tee-m"))];
    content
}

pub(crate) fn media(name: &str, alt: &str) -> Media {
    Media {
        url: format!("https://example.com/{name}.png?a=1&b=%20"),
        alt: alt.to_owned(),
    }
}

/// A catalogue, and the words for using it.
#[derive(Clone)]
pub(crate) struct Shop {
    pub(crate) store: Arc<dyn CatalogStore>,
}

impl Shop {
    pub(crate) fn new(store: Arc<dyn CatalogStore>) -> Self {
        Self { store }
    }

    /// The catalogue of a harness, which knows shirts.
    pub(crate) async fn open(harness: &impl CatalogHarness) -> Self {
        let shop = Self::new(harness.store());
        shop.put_type(&shirt()).await;
        shop
    }

    pub(crate) async fn put_type(&self, product_type: &ProductType) {
        let put = self.store.put_type(product_type).await;
        put.unwrap_or_else(|error| panic!("putting type {} failed: {error}", product_type.name));
    }

    pub(crate) async fn put(
        &self,
        content: &ProductContent,
        expected: Expected,
    ) -> Result<Written, CatalogError> {
        let content = content.clone();
        let write = ProductWrite { content, expected };
        let mut outcomes = self.store.put(&[write]).await?;
        assert_eq!(outcomes.len(), 1, "one write has one outcome");
        outcomes.remove(0)
    }

    /// Writes what must be written, whatever is there.
    pub(crate) async fn written(&self, content: &ProductContent) -> Written {
        let written = self.put(content, Expected::Any).await;
        written.unwrap_or_else(|error| panic!("putting {:?} failed: {error}", content.id))
    }

    /// Writes what must be new, or different from what is there.
    pub(crate) async fn change(&self, content: &ProductContent) -> Product {
        let written = self.written(content).await;
        let id = &content.id;
        assert_ne!(
            written.effect,
            WriteEffect::Unchanged,
            "a change of {id:?} was treated as no change"
        );
        written.product
    }

    pub(crate) async fn delete(&self, name: &str, expected: Expected) -> Deleted {
        let deleted = self.store.delete(&id(name), expected).await;
        deleted.unwrap_or_else(|error| panic!("deleting {name} failed: {error}"))
    }

    pub(crate) async fn get(&self, keys: &[ProductKey]) -> Vec<Option<Product>> {
        let found = self.store.get(keys).await;
        let found = found.unwrap_or_else(|error| panic!("get failed: {error}"));
        assert_eq!(found.len(), keys.len(), "each key has an answer");
        found
    }

    pub(crate) async fn by(&self, key: ProductKey) -> Option<Product> {
        self.get(&[key]).await.remove(0)
    }

    pub(crate) async fn by_id(&self, name: &str) -> Option<Product> {
        self.by(ProductKey::Id(id(name))).await
    }

    pub(crate) async fn find(&self, query: &ProductQuery) -> Vec<Product> {
        let found = self.store.find(query).await;
        let found = found.unwrap_or_else(|error| panic!("find failed: {error}"));
        assert!(
            found.len() <= query.limit.get(),
            "at most {} products were asked for, and {} found",
            query.limit,
            found.len()
        );
        found
    }

    /// The ids of the products whose attributes contain these.
    pub(crate) async fn ids_with(&self, attributes: Value) -> Vec<String> {
        let query = ProductQuery {
            attributes: object(attributes),
            ..first(1_000)
        };
        ids(&self.find(&query).await)
    }
}

/// The first products, at most this many.
pub(crate) fn first(limit: usize) -> ProductQuery {
    ProductQuery::first(NonZeroUsize::new(limit).expect("cases ask for some"))
}

pub(crate) fn ids(products: &[Product]) -> Vec<String> {
    products
        .iter()
        .map(|product| product.content.id.as_str().to_owned())
        .collect()
}
