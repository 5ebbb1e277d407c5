//! The routes of a catalogue: products, product types, and the availability that pages show.

mod availability;
mod products;
mod schemas;
mod types;

use std::sync::Arc;

use serde_json::{Map, Value};
use stockade_catalog_core::{Availability, Catalog};
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use self::availability::{availability_json, skus_of};
pub use self::products::product_body;
pub use self::schemas::CatalogProblemBody;

/// The routes of a catalogue, for [`Service::with_routes`](crate::Service::with_routes):
///
/// | | |
/// |---|---|
/// | `GET /products` | Products in pages |
/// | `GET /products/{id}` | A product by its id or slug, with the availability of each variant |
/// | `PUT /products/{id}`, `DELETE /products/{id}` | Creates, replaces or deletes a product |
/// | `GET /product-types`, `PUT /product-types/{name}` | The schemas of attributes |
/// | `GET /availability` | The availability of up to 500 SKUs |
///
/// [`CatalogProblemBody`] is the schema of their problems.
pub fn catalog_routes(catalog: Arc<Catalog>, availability: Arc<Availability>) -> OpenApiRouter {
    routes().with_state(Shelf {
        catalog,
        availability,
    })
}

/// The OpenAPI document of [`catalog_routes`], for a service that passes them on to another one.
#[must_use]
pub fn catalog_document() -> OpenApi {
    routes().into_openapi()
}

fn routes() -> OpenApiRouter<Shelf> {
    OpenApiRouter::new()
        .routes(routes!(products::list))
        .routes(routes!(products::page, products::put, products::delete))
        .routes(routes!(types::list))
        .routes(routes!(types::put))
        .routes(routes!(availability::many))
}

/// What the routes need.
#[derive(Clone)]
struct Shelf {
    catalog: Arc<Catalog>,
    availability: Arc<Availability>,
}

/// The value of a member, or `value` if it is absent or null.
fn value_or<'a>(body: &'a mut Map<String, Value>, member: &str, otherwise: Value) -> &'a Value {
    let value = body.entry(member).or_insert(Value::Null);
    if value.is_null() {
        *value = otherwise;
    }
    value
}
