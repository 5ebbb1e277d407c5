//! `/products`.

use std::num::NonZeroUsize;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde_json::{Map, Value, json};
use stockade_catalog_core::{
    Attributes, Availability, Catalog, Expected, Product, ProductContent, ProductId, ProductKey,
    ProductQuery, ProductTypeName, ProductWrite, Slug, WriteEffect,
};

use super::availability::json_of;
use super::schemas::{ListBody, PageBody, ProductBody, PutProductBody};
use super::{Shelf, value_or};
use crate::extract::{Body, Query, Segment, from_object};
use crate::problem::{Problem, product_json};

/// A page of products ends once it has this many bytes.
const PAGE_BYTES: usize = 4 << 20;
/// Products that a page reads from the store at once.
const READ_AT_ONCE: NonZeroUsize = NonZeroUsize::new(24).unwrap();

/// Get a product, with the availability of each variant
///
/// While inventory is unavailable, the last known stock is returned with its age.
#[utoipa::path(get, path = "/products/{id}", tag = "catalogue", operation_id = "getProduct",
    params(("id" = String, Path, description = "The id or the slug", example = "meadow-tee")),
    responses(
        (status = 200, description = "The product", body = PageBody),
        (status = 404, description = "No product has this id or slug"),
    ),
)]
pub(super) async fn page(
    State(shelf): State<Shelf>,
    Segment(name): Segment,
) -> Result<Json<Value>, Problem> {
    let body = product_body(&shelf.catalog, &shelf.availability, &name).await?;
    Ok(Json(body))
}

/// The product with this id or slug, with the availability of each variant, as HTTP clients see it:
/// the body of `GET /products/{id}`.
///
/// # Errors
/// Status 404 if there is none, 400 if no product can have the name.
pub async fn product_body(
    catalog: &Catalog,
    availability: &Availability,
    name: &str,
) -> Result<Value, Problem> {
    let product = find(catalog, name).await?;
    let variants = &product.content.variants;
    let skus: Vec<_> = variants.iter().map(|variant| variant.sku.clone()).collect();
    let page = availability.of(&skus).await;
    let mut body = product_json(&product);
    for (variant, item) in body["variants"]
        .as_array_mut()
        .into_iter()
        .flatten()
        .zip(&page.items)
    {
        variant["availability"] = json_of(item);
    }
    body["circuit"] = json!(page.circuit.as_str());
    Ok(body)
}

/// The product with this id or slug.
async fn find(catalog: &Catalog, name: &str) -> Result<Product, Problem> {
    let keys = [
        ProductId::new(name).map(ProductKey::Id)?,
        Slug::new(name).map(ProductKey::Slug)?,
    ];
    let found = catalog.get(&keys).await?;
    found.into_iter().flatten().next().ok_or_else(|| {
        Problem::not_found(format!("no product has the id or slug {name:?}")).with("field", "id")
    })
}

/// List products in the order of their ids
///
/// A page ends after a few megabytes, so it can have fewer than `limit` products. The last page is
/// the one whose `next` is null.
#[utoipa::path(get, path = "/products", tag = "catalogue", operation_id = "listProducts",
    params(
        ("product_type" = Option<String>, Query, max_length = 64, description = "Only products of this type", example = "book"),
        ("attributes" = Option<String>, Query, max_length = 1024, description = "Only products whose attributes contain this JSON object"),
        ("after" = Option<String>, Query, max_length = 128, description = "The `next` of the previous page"),
        ("limit" = Option<usize>, Query, minimum = 1, maximum = 100, description = "The most products on the page; 24 by default"),
    ),
    responses((status = 200, description = "A page of products", body = ListBody)),
)]
pub(super) async fn list(
    State(shelf): State<Shelf>,
    params: Query,
) -> Result<impl IntoResponse, Problem> {
    let params = params.only(&["product_type", "attributes", "after", "limit"], &[])?;
    let attributes = match params.get("attributes") {
        None => Attributes::new(),
        Some(text) => serde_json::from_str(text).map_err(|error| {
            Problem::invalid("attributes", format!("it must be a JSON object: {error}"))
        })?,
    };
    let mut query = ProductQuery {
        product_type: params
            .get("product_type")
            .map(ProductTypeName::new)
            .transpose()?,
        attributes,
        after: params.get("after").map(ProductId::new).transpose()?,
        limit: READ_AT_ONCE,
    };
    let most = params.number_within("limit", 1..=100)?.unwrap_or(24);
    let (mut products, mut bytes, mut is_last) = (Vec::new(), 0, false);
    while products.len() < most && bytes < PAGE_BYTES && !is_last {
        if let Some(left) = NonZeroUsize::new(most - products.len()) {
            query.limit = READ_AT_ONCE.min(left);
        }
        let read = shelf.catalog.find(&query).await?;
        is_last = read.len() < query.limit.get();
        let written = read.iter().map(|product| product_json(product).to_string());
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

/// Create or replace a product
///
/// To replace a product, send the `version` that it was read with. Without `version` the product
/// must be new. The body of `GET /products/{id}` can be edited and sent back.
#[utoipa::path(put, path = "/products/{id}", tag = "catalogue", operation_id = "putProduct",
    params(("id" = String, Path, max_length = 128, example = "meadow-tee")),
    request_body = PutProductBody,
    responses(
        (status = 201, description = "The product was created", body = ProductBody),
        (status = 200, description = "Done, or already done earlier", body = ProductBody),
        (status = 409, description = "The product has another version (`current` has the product), or its slug or a SKU belongs to another product"),
        (status = 422, description = "The product type does not exist, or the attributes do not follow its schema"),
    ),
)]
pub(super) async fn put(
    State(shelf): State<Shelf>,
    Segment(id): Segment,
    Body(body): Body<Map<String, Value>>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let (content, expected) = read(&ProductId::new(id)?, body)?;
    let written = shelf
        .catalog
        .put(ProductWrite { content, expected })
        .await?;
    let status = match written.effect {
        WriteEffect::Created => StatusCode::CREATED,
        WriteEffect::Updated | WriteEffect::Unchanged => StatusCode::OK,
    };
    Ok((status, Json(product_json(&written.product))))
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
                "it must be the version that the product was read with",
            )
        })?,
    };
    let named = value_or(&mut body, "id", json!(id));
    if *named != json!(id) {
        return Err(Problem::invalid("id", "it must be the id in the path"));
    }
    value_or(&mut body, "slug", json!(id));
    remove_what_is_only_shown(&mut body);
    Ok((from_object(body)?, expected))
}

/// Removes what `GET` adds to a product, so that its body can be sent back.
fn remove_what_is_only_shown(body: &mut Map<String, Value>) {
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
/// Deleting a product that does not exist succeeds. The SKUs of a deleted product can't be used by
/// another product.
#[utoipa::path(delete, path = "/products/{id}", tag = "catalogue", operation_id = "deleteProduct",
    params(
        ("id" = String, Path, max_length = 128, example = "meadow-tee"),
        ("version" = Option<u64>, Query, description = "Delete only this version"),
    ),
    responses(
        (status = 204, description = "Done, or already done earlier"),
        (status = 409, description = "The product has another version: `current` has the product"),
    ),
)]
pub(super) async fn delete(
    State(shelf): State<Shelf>,
    Segment(id): Segment,
    params: Query,
) -> Result<StatusCode, Problem> {
    let params = params.only(&["version"], &[])?;
    let expected = params
        .number("version")?
        .map_or(Expected::Any, Expected::Version);
    shelf.catalog.delete(&ProductId::new(id)?, expected).await?;
    Ok(StatusCode::NO_CONTENT)
}
