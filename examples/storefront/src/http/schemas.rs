//! The shape of products in JSON. They are written and read by `stockade-catalog-core`, which has
//! not heard of OpenAPI; a test holds real answers against these.

#![allow(dead_code, reason = "only the schemas are used")]

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, ObjectBuilder, SchemaType, Type};

/// A product.
#[derive(Serialize, ToSchema)]
#[schema(as = Product)]
pub(super) struct ProductBody {
    #[schema(example = "meadow-tee")]
    id: String,
    /// Its name in URLs.
    slug: String,
    title: String,
    description: String,
    /// Who makes it.
    #[schema(required)]
    brand: Option<String>,
    /// From the widest category to the narrowest.
    #[schema(example = json!(["Apparel", "T-shirts"]))]
    category: Vec<String>,
    product_type: String,
    status: StatusBody,
    media: Vec<MediaBody>,
    /// What its type says about it.
    #[schema(value_type = Object)]
    attributes: Map<String, Value>,
    variants: Vec<VariantBody>,
    /// Rises with each change; a change of the product names it.
    version: u64,
}

/// Whether a product is shown.
#[derive(Serialize, ToSchema)]
#[schema(as = ProductStatus)]
#[serde(rename_all = "snake_case")]
enum StatusBody {
    Draft,
    Active,
    Archived,
}

/// A picture or the like.
#[derive(Serialize, ToSchema)]
#[schema(as = Media)]
struct MediaBody {
    url: String,
    /// What it shows, for who can't see it.
    alt: String,
}

/// What can be bought of a product.
#[derive(Serialize, ToSchema)]
#[schema(as = Variant)]
struct VariantBody {
    #[schema(example = "meadow-gr-m")]
    sku: String,
    #[schema(required)]
    name: Option<String>,
    /// What sets it apart from its siblings.
    #[schema(example = json!({"color": "Green", "size": "M"}))]
    options: BTreeMap<String, String>,
    /// Null where it is not known or on request.
    #[schema(required)]
    price: Option<MoneyBody>,
    #[schema(value_type = Object)]
    attributes: Map<String, Value>,
    /// Only on the page of a product.
    #[serde(skip_serializing_if = "Option::is_none")]
    availability: Option<AvailabilityBody>,
}

/// An amount of money.
#[derive(Serialize, ToSchema)]
#[schema(as = Money)]
struct MoneyBody {
    /// In the smallest unit of the currency, such as cents.
    #[schema(maximum = 9007199254740991_i64, example = 1990)]
    minor: u64,
    /// By ISO 4217.
    #[schema(pattern = "^[A-Z]{3}$", example = "EUR")]
    currency: String,
}

/// A product, and the availability of each variant.
#[derive(Serialize, ToSchema)]
#[schema(as = ProductPage)]
pub(super) struct PageBody {
    #[serde(flatten)]
    #[schema(inline)]
    product: ProductBody,
    /// The state of the circuit between pages and the cache of stock.
    #[schema(example = "closed")]
    circuit: String,
}

/// What is known of a variant's stock.
#[derive(Serialize, ToSchema)]
#[schema(as = Availability)]
pub(super) struct AvailabilityBody {
    state: AvailabilityStateBody,
    /// Units; null where they are not known or not counted.
    #[schema(required)]
    available: Option<u64>,
    /// Where that is from, such as `cache`.
    source: String,
    /// How old it is; null where that is not known.
    #[schema(required)]
    age_seconds: Option<f64>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = AvailabilityState)]
#[serde(rename_all = "snake_case")]
enum AvailabilityStateBody {
    InStock,
    OutOfStock,
    NotStocked,
    Unknown,
}

/// A page of products.
#[derive(Serialize, ToSchema)]
#[schema(as = Products)]
pub(super) struct ListBody {
    products: Vec<ProductBody>,
    /// Where the next page begins (`after`); null on the last.
    #[schema(required)]
    next: Option<String>,
}

/// What a product shall be.
#[derive(Serialize, ToSchema)]
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
    /// The one in the path, if it is said.
    id: Option<String>,
    /// The id if not said.
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
    /// `active` if not said.
    #[schema(required = false)]
    status: StatusBody,
    #[serde(default)]
    media: Vec<PutMediaBody>,
    #[schema(value_type = Object)]
    #[serde(default)]
    attributes: Map<String, Value>,
    #[serde(default)]
    variants: Vec<PutVariantBody>,
    /// The one that it was read with; none for one that is new.
    version: Option<u64>,
}

/// What can be bought of it.
#[derive(Serialize, ToSchema)]
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

/// A picture or the like.
#[derive(Serialize, ToSchema)]
#[schema(as = PutMedia)]
struct PutMediaBody {
    url: String,
    #[serde(default)]
    alt: String,
}

/// A JSON Schema is an object, or says whether anything goes.
fn json_schema() -> Object {
    let types = SchemaType::from_iter([Type::Object, Type::Boolean]);
    ObjectBuilder::new().schema_type(types).build()
}

/// A product type.
#[derive(Serialize, ToSchema)]
#[schema(as = ProductType)]
struct ProductTypeBody {
    #[schema(example = "garden-furniture")]
    name: String,
    /// The JSON Schema of a product's attributes.
    #[schema(schema_with = json_schema)]
    schema: Value,
    /// The JSON Schema of its variants' attributes.
    #[schema(schema_with = json_schema)]
    variant_schema: Value,
}

/// All product types.
#[derive(Serialize, ToSchema)]
#[schema(as = ProductTypes)]
pub(super) struct TypesBody {
    product_types: Vec<ProductTypeBody>,
}

/// What a product type shall be.
#[derive(Serialize, ToSchema)]
#[schema(
    as = PutProductType,
    example = json!({"schema": {
        "type": "object",
        "properties": {"wood_type": {"type": "string"}},
        "required": ["wood_type"],
    }}),
)]
pub(super) struct PutTypeBody {
    /// The one in the path, if it is said.
    name: Option<String>,
    /// The JSON Schema of a product's attributes; anything goes if not said.
    #[schema(required = false)]
    #[schema(schema_with = json_schema)]
    schema: Value,
    /// The JSON Schema of its variants' attributes; anything goes if not said.
    #[schema(required = false)]
    #[schema(schema_with = json_schema)]
    variant_schema: Value,
}

/// A product type, and who does not follow it.
#[derive(Serialize, ToSchema)]
#[schema(as = ProductTypePut)]
pub(super) struct PutTypedBody {
    product_type: ProductTypeBody,
    nonconforming: NonconformingBody,
}

/// Products that don't follow their type.
#[derive(Serialize, ToSchema)]
#[schema(as = Nonconforming)]
struct NonconformingBody {
    count: u64,
    /// The ids of some of them.
    examples: Vec<String>,
}
