//! Products, their variants, and the types that say which attributes they have.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use stockade_change_feed::text_newtype;
use stockade_inventory_core::Sku;

use crate::error::CatalogError;

text_newtype! {
    /// The id of a product: a slug, a UUID, or any other id that the host uses.
    ProductId, "product_id", 128, CatalogError
}

text_newtype! {
    /// The name of a product in URLs; unique.
    Slug, "slug", 200, CatalogError
}

text_newtype! {
    /// The name of a product type, such as `television`.
    ProductTypeName, "product_type", 64, CatalogError
}

/// Attributes: any JSON object.
pub type Attributes = Map<String, Value>;

/// The content of a product: everything that a caller writes.
///
/// Exhaustive on purpose: a store that ignores a field must not compile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProductContent {
    /// Its id.
    pub id: ProductId,
    /// Its name in URLs.
    pub slug: Slug,
    /// Its name for customers.
    pub title: String,
    /// A longer text; may be empty.
    #[serde(default)]
    pub description: String,
    /// Its brand.
    #[serde(default)]
    pub brand: Option<String>,
    /// Its place in the shop, from the widest category to the narrowest; may be empty.
    #[serde(default)]
    pub category: Vec<String>,
    /// The product type, whose schema the attributes must follow.
    pub product_type: ProductTypeName,
    /// Whether it is shown.
    #[serde(default)]
    pub status: ProductStatus,
    /// Pictures and other media, in order.
    #[serde(default)]
    pub media: Vec<Media>,
    /// The attributes that its type describes.
    #[serde(default)]
    pub attributes: Attributes,
    /// The variants that can be bought, in order; may be empty.
    #[serde(default)]
    pub variants: Vec<Variant>,
}

impl ProductContent {
    /// An active product without variants or attributes.
    #[must_use]
    pub fn new(
        id: ProductId,
        slug: Slug,
        title: impl Into<String>,
        product_type: ProductTypeName,
    ) -> Self {
        Self {
            id,
            slug,
            title: title.into(),
            description: String::new(),
            brand: None,
            category: Vec::new(),
            product_type,
            status: ProductStatus::default(),
            media: Vec::new(),
            attributes: Attributes::new(),
            variants: Vec::new(),
        }
    }
}

/// A product as a store holds it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Product {
    /// Its content.
    pub content: ProductContent,
    /// Rises with each change of the product or of one of its variants, also across a deletion.
    /// Taken from one sequence for the whole store, so it has gaps.
    pub version: u64,
}

impl Product {
    /// A product at a version.
    #[must_use]
    pub fn new(content: ProductContent, version: u64) -> Self {
        Self { content, version }
    }
}

/// Whether a product is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProductStatus {
    /// Not shown yet.
    Draft,
    /// Shown.
    #[default]
    Active,
    /// No longer shown.
    Archived,
}

impl ProductStatus {
    /// The name as it is stored, such as `active`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Active => "active",
            Self::Archived => "archived",
        }
    }
}

/// A picture or another medium.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Media {
    /// Its address.
    pub url: String,
    /// A description for people who can not see it.
    #[serde(default)]
    pub alt: String,
}

/// A variant of a product: what can be bought.
///
/// Exhaustive on purpose: a store that ignores a field must not compile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// The SKU that its stock is counted by; unique, and never given to another product.
    pub sku: Sku,
    /// Its name in addition to the product's title, such as `M`.
    #[serde(default)]
    pub name: Option<String>,
    /// The options that distinguish it from the other variants, such as a size.
    #[serde(default)]
    pub options: BTreeMap<String, String>,
    /// Its price; none when it is unknown or on request.
    #[serde(default)]
    pub price: Option<Money>,
    /// Its attributes.
    #[serde(default)]
    pub attributes: Attributes,
}

impl Variant {
    /// A variant without options, price or attributes.
    #[must_use]
    pub fn new(sku: Sku) -> Self {
        Self {
            sku,
            name: None,
            options: BTreeMap::new(),
            price: None,
            attributes: Attributes::new(),
        }
    }
}

/// An amount of money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Money {
    /// In the smallest unit of the currency, such as cents: 0 to 2^53 - 1.
    pub minor: u64,
    /// The currency.
    pub currency: Currency,
}

/// A currency by its ISO 4217 code: three capital letters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 3]);

impl Currency {
    /// Checks a code.
    ///
    /// # Errors
    /// [`CatalogError::Invalid`] for anything but three capital letters.
    pub fn new(code: &str) -> Result<Self, CatalogError> {
        match *code.as_bytes() {
            [a @ b'A'..=b'Z', b @ b'A'..=b'Z', c @ b'A'..=b'Z'] => Ok(Self([a, b, c])),
            _ => Err(CatalogError::invalid(
                "currency",
                code,
                "it has to be three capital letters",
            )),
        }
    }

    /// The code.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TryFrom<String> for Currency {
    type Error = CatalogError;

    fn try_from(code: String) -> Result<Self, CatalogError> {
        Self::new(&code)
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.as_str().to_owned()
    }
}

/// A product type: data, not code. A new type needs no change of any database's schema.
///
/// Exhaustive on purpose: a store that ignores a field must not compile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProductType {
    /// Its name.
    pub name: ProductTypeName,
    /// The JSON Schema of a product's attributes: draft 2020-12, unless the schema names another
    /// draft. `true` allows everything.
    #[serde(default = "anything")]
    pub schema: Value,
    /// The JSON Schema of its variants' attributes.
    #[serde(default = "anything")]
    pub variant_schema: Value,
}

fn anything() -> Value {
    Value::Bool(true)
}

impl ProductType {
    /// A type that allows any attributes.
    #[must_use]
    pub fn permissive(name: ProductTypeName) -> Self {
        Self {
            name,
            schema: anything(),
            variant_schema: anything(),
        }
    }

    /// Sets the schema of a product's attributes.
    #[must_use]
    pub fn with_schema(mut self, schema: Value) -> Self {
        self.schema = schema;
        self
    }

    /// Sets the schema of its variants' attributes.
    #[must_use]
    pub fn with_variant_schema(mut self, schema: Value) -> Self {
        self.variant_schema = schema;
        self
    }
}
