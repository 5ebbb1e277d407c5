//! The OpenAPI document of the shop, before any route.

use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;

pub(super) fn document() -> OpenApi {
    #[derive(utoipa::OpenApi)]
    #[openapi(
        info(
            title = "The storefront",
            description = "A shop on the stockade crates: search, products, stock and \
                reservations.\n\nErrors are `application/problem+json` (RFC 9457). Every request \
                that changes something can be repeated safely: `Idempotency-Key` or \
                `operation_id` names it, or repeating it changes nothing.",
        ),
        components(schemas(service_kit::CatalogProblemBody)),
        tags(
            (name = "search", description = "Search products"),
            (name = "catalogue", description = "Products and product types"),
            (name = "reservations", description = "Reserve units for an owner"),
            (name = "stock", description = "Stock levels and availability"),
            (name = "operation", description = "Operate the shop"),
        ),
    )]
    struct Document;
    Document::openapi()
}
