//! `/availability`.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use serde_json::{Value, json};
use stockade_catalog_core::{Availability, SkuAvailability, Stock};
use stockade_inventory_core::Sku;
use utoipa::ToSchema;

use super::Shelf;
use super::schemas::AvailabilityBody;
use crate::extract::Query;
use crate::problem::Problem;

/// The most SKUs in one request.
const SKUS: usize = 500;

/// The availability of several SKUs.
#[derive(Serialize, ToSchema)]
#[schema(as = AvailabilityPage)]
pub(super) struct AvailabilityPageBody {
    /// The availability of each SKU, in the order of the request.
    items: Vec<SkuAvailabilityBody>,
    /// The state of the availability circuit.
    #[schema(example = "closed")]
    circuit: String,
}

/// The availability of a SKU.
#[derive(Serialize, ToSchema)]
#[schema(as = SkuAvailability)]
#[allow(dead_code, reason = "only its schema is used")]
struct SkuAvailabilityBody {
    sku: String,
    #[serde(flatten)]
    availability: AvailabilityBody,
}

/// Get the availability of several SKUs
///
/// While inventory is unavailable, the last known stock is returned with its age.
#[utoipa::path(get, path = "/availability", tag = "stock", operation_id = "getAvailability",
    params(("sku" = Vec<String>, Query, max_items = 500, description = "A SKU; may be repeated up to 500 times")),
    responses((status = 200, description = "The availability of each SKU", body = AvailabilityPageBody)),
)]
pub(super) async fn many(
    State(shelf): State<Shelf>,
    params: Query,
) -> Result<Json<Value>, Problem> {
    let skus = skus_of(params)?;
    Ok(Json(availability_json(&shelf.availability, &skus).await))
}

/// The SKUs of a request: the parameter `sku`, which is given 1 to 500 times.
///
/// # Errors
/// Status 400 for another number of them, a SKU that is not allowed, and another parameter.
pub fn skus_of(params: Query) -> Result<Vec<Sku>, Problem> {
    let params = params.only(&[], &["sku"])?;
    let count = params.all("sku").count();
    if !(1..=SKUS).contains(&count) {
        let reason = format!("it must be given 1 to {SKUS} times; got it {count} times");
        return Err(Problem::invalid("sku", reason));
    }
    let skus = params.all("sku").map(Sku::new);
    Ok(skus.collect::<Result<_, _>>()?)
}

/// The availability of SKUs as HTTP clients see it: the body of `GET /availability`.
pub async fn availability_json(availability: &Availability, skus: &[Sku]) -> Value {
    let page = availability.of(skus).await;
    let items = page.items.iter().map(|item| {
        let mut body = json_of(item);
        body["sku"] = json!(item.sku);
        body
    });
    json!({"items": items.collect::<Vec<_>>(), "circuit": page.circuit.as_str()})
}

pub(super) fn json_of(item: &SkuAvailability) -> Value {
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
