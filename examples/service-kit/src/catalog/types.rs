//! `/product-types`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Map, Value, json};
use stockade_catalog_core::{ProductType, ProductTypeName, WriteEffect};

use super::schemas::{PutTypeBody, PutTypedBody, TypesBody};
use super::{Shelf, value_or};
use crate::extract::{Body, Segment, from_object};
use crate::problem::Problem;

/// List all product types
#[utoipa::path(get, path = "/product-types", tag = "catalogue", operation_id = "listProductTypes",
    responses((status = 200, description = "The product types in the order of their names", body = TypesBody)),
)]
pub(super) async fn list(State(shelf): State<Shelf>) -> Result<Json<Value>, Problem> {
    let types = shelf.catalog.types().await?;
    Ok(Json(json!({ "product_types": types })))
}

/// Create or replace a product type
///
/// Existing products are not changed. The answer contains the number of products that do not follow
/// the new schemas.
#[utoipa::path(put, path = "/product-types/{name}", tag = "catalogue", operation_id = "putProductType",
    params(("name" = String, Path, max_length = 64, example = "garden-furniture")),
    request_body = Option<PutTypeBody>,
    responses(
        (status = 201, description = "The product type was created", body = PutTypedBody),
        (status = 200, description = "Done, or already done earlier", body = PutTypedBody),
    ),
)]
pub(super) async fn put(
    State(shelf): State<Shelf>,
    Segment(name): Segment,
    Body(mut body): Body<Map<String, Value>>,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let name = ProductTypeName::new(name)?;
    let named = value_or(&mut body, "name", json!(name));
    if *named != json!(name) {
        return Err(Problem::invalid("name", "it must be the name in the path"));
    }
    let product_type: ProductType = from_object(body)?;
    let change = shelf.catalog.put_type(product_type.clone()).await?;
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
