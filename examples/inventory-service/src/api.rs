//! The routes of the service.

use std::sync::Arc;

use service_kit::{Service, inventory_routes};
use stockade_change_feed::SystemClock;
use stockade_http::stock_routes;
use stockade_inventory_core::Inventory;
use stockade_inventory_core::workers::Wake;
use utoipa::OpenApi as _;

use crate::backends::Backends;

/// Adds the routes: reservations and stock for clients, and all stock for services that show it.
pub(crate) fn add(service: Service, backends: &Backends, relay: Option<Wake>) -> Service {
    #[derive(utoipa::OpenApi)]
    #[openapi(
        info(
            title = "Inventory",
            description = "Stock and reservations.\n\nErrors are `application/problem+json` (RFC \
                9457). Every request that changes something can be repeated safely: \
                `Idempotency-Key` or `operation_id` names it, or repeating it changes nothing.",
        ),
        components(schemas(service_kit::ProblemBody)),
        tags(
            (name = "reservations", description = "Reserve units for an owner"),
            (name = "stock", description = "Stock levels and their movements"),
        ),
    )]
    struct Document;

    let mut inventory = Inventory::new(backends.store.clone());
    if let Some(timers) = &backends.timers {
        inventory = inventory.with_timer(timers.clone());
    }
    if let Some(relay) = relay {
        inventory = inventory.with_wake(relay);
    }
    service
        .with_document(Document::openapi())
        .with_routes(inventory_routes(
            inventory.clone(),
            Arc::new(SystemClock::new()),
        ))
        .with_reading_routes(stock_routes(Arc::new(inventory)))
}
