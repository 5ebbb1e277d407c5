//! `/products` and `/product-types`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde_json::{Map, Value, json};
use stockade_catalog_core::{
    Attributes, Expected, Product, ProductContent, ProductId, ProductKey, ProductQuery,
    ProductType, ProductTypeName, ProductWrite, SkuAvailability, Slug, Stock, WriteEffect,
};

use super::extract::{Body, Params, Segment, from_object, limit};
use super::problem::Problem;
use super::schemas::{
    ListBody, PageBody, ProductBody, PutProductBody, PutTypeBody, PutTypedBody, TypesBody,
};
use crate::shop::Shop;

/// The most of a listing, in bytes, but for one reading of the store.
const PAGE_BYTES: usize = 4 << 20;
/// Products that a listing reads from the store at once.
const READ_AT_ONCE: usize = 24;

/// See a product, with the availability of each variant
///
/// Also where inventory can't be reached: then with the last that is known.
#[utoipa::path(get, path = "/products/{id}", tag = "catalogue",
    params(("id" = String, Path, description = "The id or the slug", example = "meadow-tee")),
    responses(
        (status = 200, description = "The page", body = PageBody),
        (status = 404, description = "No product has this id or slug"),
    ),
)]
pub(super) async fn page(
    State(shop): State<Arc<Shop>>,
    Segment(name): Segment,
) -> Result<Json<Value>, Problem> {
    let product = find(&shop, &name).await?;
    let variants = &product.content.variants;
    let skus: Vec<_> = variants.iter().map(|variant| variant.sku.clone()).collect();
    let page = shop.availability.of(&skus).await;
    let mut body = json(&product);
    for (variant, item) in body["variants"]
        .as_array_mut()
        .into_iter()
        .flatten()
        .zip(&page.items)
    {
        variant["availability"] = availability(item);
    }
    body["circuit"] = json!(page.circuit.as_str());
    Ok(Json(body))
}

pub(crate) async fn find(shop: &Shop, name: &str) -> Result<Product, Problem> {
    let keys = [
        ProductId::new(name).map(ProductKey::Id)?,
        Slug::new(name).map(ProductKey::Slug)?,
    ];
    let found = shop.catalog.get(&keys).await?;
    found.into_iter().flatten().next().ok_or_else(|| {
        Problem::not_found(format!("no product has the id or slug {name:?}")).with("field", "id")
    })
}

pub(super) fn availability(item: &SkuAvailability) -> Value {
    let (state, available) = match item.stock {
        Stock::Available(0) => ("out_of_stock", Some(0)),
        Stock::Available(units) => ("in_stock", Some(units)),
        Stock::NotStocked => ("not_stocked", None),
        Stock::Unknown => ("unknown", None),
    };
    json!({
        "state": state,
        "available": available,
        "source": item.origin.as_str(),
        "age_seconds": item.age.map(|age| age.as_secs_f64()),
    })
}

/// A product as the shop shows it: its content with its version.
pub(super) fn json(product: &Product) -> Value {
    let mut body = json!(product.content);
    body["version"] = json!(product.version);
    body
}

/// List products in the order of their ids
///
/// A page is at most some megabytes, and so may have less than `limit` products; it is the last
/// only where `next` is null.
#[utoipa::path(get, path = "/products", tag = "catalogue",
    params(
        ("product_type" = Option<String>, Query, max_length = 64, description = "Only of this type", example = "book"),
        ("attributes" = Option<String>, Query, max_length = 1024, description = "Only those whose attributes contain this JSON object"),
        ("after" = Option<String>, Query, max_length = 128, description = "Where the page before ended: its `next`"),
        ("limit" = Option<usize>, Query, minimum = 1, maximum = 100, description = "Most products: 24 if not said"),
    ),
    responses((status = 200, description = "A page of products", body = ListBody)),
)]
pub(super) async fn list(
    State(shop): State<Arc<Shop>>,
    params: Params,
) -> Result<impl IntoResponse, Problem> {
    let params = params.only(&["product_type", "attributes", "after", "limit"])?;
    let attributes = match params.get("attributes") {
        None => Attributes::new(),
        Some(text) => serde_json::from_str(text).map_err(|error| {
            Problem::invalid("attributes", format!("it has to be a JSON object: {error}"))
        })?,
    };
    let mut query = ProductQuery {
        product_type: params
            .get("product_type")
            .map(ProductTypeName::new)
            .transpose()?,
        attributes,
        after: params.get("after").map(ProductId::new).transpose()?,
        limit: 0,
    };
    let most = limit(&params, 24)?;
    let (mut products, mut bytes, mut is_last) = (Vec::new(), 0, false);
    while products.len() < most && bytes < PAGE_BYTES && !is_last {
        query.limit = READ_AT_ONCE.min(most - products.len());
        let read = shop.catalog.find(&query).await?;
        is_last = read.len() < query.limit;
        let written = read.iter().map(|product| json(product).to_string());
        products.extend(written.inspect(|product| bytes += product.len()));
        query.after = read
            .last()
            .map(|last| last.content.id.clone())
            .or(query.after);
    }
    let next = json!(query.after.filter(|_| !is_last));
    let body = format!(r#"{{"products":[{}],"next":{next}}}"#, products.join(","));
    Ok(([(header::CONTENT_TYPE, "application/json")], body))
}

/// Put a product whole
///
/// Its `version` is the one that it was read with; without one it has to be new. A page can be
/// read, edited and put back.
#[utoipa::path(put, path = "/products/{id}", tag = "catalogue",
    params(("id" = String, Path, max_length = 128, example = "meadow-tee")),
    request_body = PutProductBody,
    responses(
        (status = 201, description = "It is new", body = ProductBody),
        (status = 200, description = "So it is, now or before", body = ProductBody),
        (status = 409, description = "It has changed since (`current` says to what), or its slug or a SKU is another's"),
        (status = 422, description = "Its type is unknown, or its attributes don't follow it"),
    ),
)]
pub(super) async fn put(
    State(shop): State<Arc<Shop>>,
    Segment(id): Segment,
    Body(body): Body<Map<String, Value>>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let (content, expected) = read(&ProductId::new(id)?, body)?;
    shop.room_for_rows().await;
    let written = shop.catalog.put(ProductWrite { content, expected }).await?;
    let status = match written.effect {
        WriteEffect::Created => StatusCode::CREATED,
        WriteEffect::Updated | WriteEffect::Unchanged => StatusCode::OK,
    };
    Ok((status, Json(json(&written.product))))
}

fn read(
    id: &ProductId,
    mut body: Map<String, Value>,
) -> Result<(ProductContent, Expected), Problem> {
    let expected = match body.remove("version") {
        None | Some(Value::Null) => Expected::Absent,
        Some(version) => version.as_u64().map(Expected::Version).ok_or_else(|| {
            Problem::invalid(
                "version",
                "it has to be the number that the product was read with",
            )
        })?,
    };
    let named = said(&mut body, "id", json!(id));
    if *named != json!(id) {
        return Err(Problem::invalid("id", "it has to be the one in the path"));
    }
    said(&mut body, "slug", json!(id));
    forget_what_is_only_shown(&mut body);
    Ok((from_object(body)?, expected))
}

/// What a member says, or else this.
fn said<'a>(body: &'a mut Map<String, Value>, member: &str, otherwise: Value) -> &'a Value {
    let said = body.entry(member).or_insert(Value::Null);
    if said.is_null() {
        *said = otherwise;
    }
    said
}

/// So that a page can be read, edited and put back.
fn forget_what_is_only_shown(body: &mut Map<String, Value>) {
    body.remove("circuit");
    let variants = body.get_mut("variants").and_then(Value::as_array_mut);
    for variant in variants.into_iter().flatten() {
        if let Some(variant) = variant.as_object_mut() {
            variant.remove("availability");
        }
    }
}

/// Delete a product with its variants
///
/// What is not there is deleted already. Its SKUs are never given to another product.
#[utoipa::path(delete, path = "/products/{id}", tag = "catalogue",
    params(
        ("id" = String, Path, max_length = 128, example = "meadow-tee"),
        ("version" = Option<u64>, Query, description = "Only at this version"),
    ),
    responses(
        (status = 204, description = "It is not there, now or before"),
        (status = 409, description = "It has changed since: `current` says to what"),
    ),
)]
pub(super) async fn delete(
    State(shop): State<Arc<Shop>>,
    Segment(id): Segment,
    params: Params,
) -> Result<StatusCode, Problem> {
    let params = params.only(&["version"])?;
    let expected = params
        .number("version")?
        .map_or(Expected::Any, Expected::Version);
    shop.room_for_rows().await;
    shop.catalog.delete(&ProductId::new(id)?, expected).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List all product types
#[utoipa::path(get, path = "/product-types", tag = "catalogue",
    responses((status = 200, description = "By name", body = TypesBody)),
)]
pub(super) async fn types(State(shop): State<Arc<Shop>>) -> Result<Json<Value>, Problem> {
    let types = shop.catalog.types().await?;
    Ok(Json(json!({ "product_types": types })))
}

/// Put a product type
///
/// Existing products stay as they are; the answer says which do not conform to it from now on.
#[utoipa::path(put, path = "/product-types/{name}", tag = "catalogue",
    params(("name" = String, Path, max_length = 64, example = "garden-furniture")),
    request_body = Option<PutTypeBody>,
    responses(
        (status = 201, description = "It is new", body = PutTypedBody),
        (status = 200, description = "So it is, now or before", body = PutTypedBody),
    ),
)]
pub(super) async fn put_type(
    State(shop): State<Arc<Shop>>,
    Segment(name): Segment,
    Body(mut body): Body<Map<String, Value>>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let name = ProductTypeName::new(name)?;
    let named = said(&mut body, "name", json!(name));
    if *named != json!(name) {
        return Err(Problem::invalid("name", "it has to be the one in the path"));
    }
    let product_type: ProductType = from_object(body)?;
    let change = shop.catalog.put_type(product_type.clone()).await?;
    let status = match change.effect {
        WriteEffect::Created => StatusCode::CREATED,
        WriteEffect::Updated | WriteEffect::Unchanged => StatusCode::OK,
    };
    let body = json!({
        "product_type": product_type,
        "nonconforming": {
            "count": change.nonconforming,
            "examples": change.examples,
        },
    });
    Ok((status, Json(body)))
}
