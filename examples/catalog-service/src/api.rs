//! The routes of the service.

use std::sync::Arc;

use service_kit::{Service, catalog_routes};
use stockade_catalog_core::{Availability, Catalog};
use stockade_postgres::PostgresCatalog;
use utoipa::OpenApi as _;

use crate::telemetry;

/// Adds the routes: products, product types, and the stock that pages show.
pub(crate) fn add(
    service: Service,
    store: Arc<PostgresCatalog>,
    availability: Arc<Availability>,
) -> Service {
    #[derive(utoipa::OpenApi)]
    #[openapi(
        info(
            title = "Catalogue",
            description = "Products, and the stock that pages show.\n\nErrors are \
                `application/problem+json` (RFC 9457). Every request that changes something can be \
                repeated safely: repeating it changes nothing.",
        ),
        components(schemas(service_kit::CatalogProblemBody)),
        tags(
            (name = "catalogue", description = "Products and product types"),
            (name = "stock", description = "The availability of SKUs"),
        ),
    )]
    struct Document;

    let catalog = Arc::new(Catalog::new(store));
    service
        .with_document(Document::openapi())
        .with_routes(catalog_routes(catalog, availability.clone()))
        .with_gauges(availability, |availability| async move {
            telemetry::set_circuit(&availability);
        })
}
