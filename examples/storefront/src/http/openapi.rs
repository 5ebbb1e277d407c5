//! The OpenAPI document of the shop, before any route.

use serde::Serialize;
use utoipa::openapi::OpenApi;
use utoipa::{OpenApi as _, ToSchema};

use super::schemas::ProductBody;

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
        components(schemas(ProblemBody)),
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

/// A refusal, by RFC 9457. Which of the optional members are present depends on `type`.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
#[allow(dead_code, reason = "only its schema is used")]
struct ProblemBody {
    #[serde(flatten)]
    #[schema(inline)]
    problem: service_kit::ProblemBody,
    /// The current product; null if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<ProductBody>,
}
