//! The schemas of products in OpenAPI. `stockade-catalog-core` writes and reads products without
//! OpenAPI; a test checks real answers against these schemas.

#![allow(dead_code, reason = "only the schemas are used")]

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, ObjectBuilder, SchemaType, Type};

use crate::problem::ProblemBody;

/// A refusal, by RFC 9457. Which of the optional members are present depends on `type`.
///
/// It is the schema of [`ProblemBody`] with `current`, which problems of products may have.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct CatalogProblemBody {
    #[serde(flatten)]
    #[schema(inline)]
    problem: ProblemBody,
    /// The current product; null if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<ProductBody>,
}

/// A product.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Product)]
pub(super) struct ProductBody {
    #[schema(example = "meadow-tee")]
    id: String,
    /// The name of the product in URLs.
    slug: String,
    title: String,
    description: String,
    /// Who makes the product.
    #[schema(required)]
    brand: Option<String>,
    /// The path of the category, from the most general to the most specific.
    #[schema(example = json!(["Apparel", "T-shirts"]))]
    category: Vec<String>,
    product_type: String,
    status: StatusBody,
    media: Vec<MediaBody>,
    /// Attributes, which follow the schema of the product type.
    #[schema(value_type = Object)]
    attributes: Map<String, Value>,
    variants: Vec<VariantBody>,
    /// Increases with each change. Send it to replace or delete the product.
    version: u64,
}

/// The status of a product. Search finds active products only.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProductStatus)]
#[serde(rename_all = "snake_case")]
enum StatusBody {
    Draft,
    Active,
    Archived,
}

/// A picture or another medium.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Media)]
struct MediaBody {
    url: String,
    /// A description for people who can't see the medium.
    alt: String,
}

/// A variant of a product, which can be bought.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Variant)]
struct VariantBody {
    #[schema(example = "meadow-gr-m")]
    sku: String,
    #[schema(required)]
    name: Option<String>,
    /// The options in which the variants differ.
    #[schema(example = json!({"color": "Green", "size": "M"}))]
    options: BTreeMap<String, String>,
    /// Null if the price is unknown or on request.
    #[schema(required)]
    price: Option<MoneyBody>,
    #[schema(value_type = Object)]
    attributes: Map<String, Value>,
    /// Only in the answer of `GET /products/{id}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    availability: Option<AvailabilityBody>,
}

/// An amount of money.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Money)]
struct MoneyBody {
    /// The amount in the smallest unit of the currency, such as cents.
    #[schema(maximum = 9007199254740991_i64, example = 1990)]
    minor: u64,
    /// The currency, by ISO 4217.
    #[schema(pattern = "^[A-Z]{3}$", example = "EUR")]
    currency: String,
}

/// A product, with the availability of each variant.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProductPage)]
pub(super) struct PageBody {
    #[serde(flatten)]
    #[schema(inline)]
    product: ProductBody,
    /// The state of the availability circuit.
    #[schema(example = "closed")]
    circuit: String,
}

/// The availability of a variant.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Availability)]
pub(super) struct AvailabilityBody {
    state: AvailabilityStateBody,
    /// Available units; null if they are unknown, or no stock is kept.
    #[schema(required)]
    available: Option<u64>,
    /// Where the number came from, such as `cache`.
    source: String,
    /// The age of the number in seconds; null if it is unknown.
    #[schema(required)]
    age_seconds: Option<f64>,
}

/// Whether a variant can be bought.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AvailabilityState)]
#[serde(rename_all = "snake_case")]
enum AvailabilityStateBody {
    InStock,
    OutOfStock,
    NotStocked,
    Unknown,
}

/// A page of products.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Products)]
pub(super) struct ListBody {
    products: Vec<ProductBody>,
    /// The `after` of the next page; null on the last page.
    #[schema(required)]
    next: Option<String>,
}

/// A product to create or replace.
#[derive(Debug, Serialize, ToSchema)]
#[schema(
    as = PutProduct,
    example = json!({
        "title": "Deck Chair",
        "product_type": "garden-furniture",
        "attributes": {"wood_type": "teak"},
        "variants": [{"sku": "deck-chair", "price": {"minor": 8900, "currency": "EUR"}}],
    }),
)]
pub(super) struct PutProductBody {
    /// If given, it must be the id in the path.
    id: Option<String>,
    /// The name of the product in URLs; the id by default.
    #[schema(min_length = 1, max_length = 200)]
    slug: Option<String>,
    #[schema(min_length = 1)]
    title: String,
    #[serde(default)]
    description: String,
    brand: Option<String>,
    #[serde(default)]
    category: Vec<String>,
    #[schema(min_length = 1, max_length = 64)]
    product_type: String,
    /// `active` by default.
    #[schema(required = false)]
    status: StatusBody,
    #[serde(default)]
    media: Vec<PutMediaBody>,
    #[schema(value_type = Object)]
    #[serde(default)]
    attributes: Map<String, Value>,
    #[serde(default)]
    variants: Vec<PutVariantBody>,
    /// The version that the product was read with; absent for a new product.
    version: Option<u64>,
}

/// A variant, which can be bought.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PutVariant)]
struct PutVariantBody {
    #[schema(min_length = 1, max_length = 128)]
    sku: String,
    name: Option<String>,
    #[serde(default)]
    options: BTreeMap<String, String>,
    price: Option<MoneyBody>,
    #[schema(value_type = Object)]
    #[serde(default)]
    attributes: Map<String, Value>,
}

/// A picture or another medium.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PutMedia)]
struct PutMediaBody {
    url: String,
    #[serde(default)]
    alt: String,
}

/// A JSON Schema is an object, or `true` or `false` to allow everything or nothing.
fn json_schema() -> Object {
    let types = SchemaType::from_iter([Type::Object, Type::Boolean]);
    ObjectBuilder::new().schema_type(types).build()
}

/// A product type.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProductType)]
struct ProductTypeBody {
    #[schema(example = "garden-furniture")]
    name: String,
    /// The JSON Schema of a product's attributes.
    #[schema(schema_with = json_schema)]
    schema: Value,
    /// The JSON Schema of the variants' attributes.
    #[schema(schema_with = json_schema)]
    variant_schema: Value,
}

/// All product types.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProductTypes)]
pub(super) struct TypesBody {
    product_types: Vec<ProductTypeBody>,
}

/// A product type to create or replace.
#[derive(Debug, Serialize, ToSchema)]
#[schema(
    as = PutProductType,
    example = json!({"schema": {
        "type": "object",
        "properties": {"wood_type": {"type": "string"}},
        "required": ["wood_type"],
    }}),
)]
pub(super) struct PutTypeBody {
    /// If given, it must be the name in the path.
    name: Option<String>,
    /// The JSON Schema of a product's attributes; by default everything is allowed.
    #[schema(required = false)]
    #[schema(schema_with = json_schema)]
    schema: Value,
    /// The JSON Schema of the variants' attributes; by default everything is allowed.
    #[schema(required = false)]
    #[schema(schema_with = json_schema)]
    variant_schema: Value,
}

/// A product type, and the products that do not follow it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ProductTypePut)]
pub(super) struct PutTypedBody {
    product_type: ProductTypeBody,
    nonconforming: NonconformingBody,
}

/// Products that do not follow the schemas of their type.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Nonconforming)]
struct NonconformingBody {
    /// How many there are.
    count: u64,
    /// The ids of some of them.
    examples: Vec<String>,
}
