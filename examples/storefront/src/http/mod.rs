//! The shop over HTTP.

mod front;
mod live;
mod openapi;
mod operation;
mod page;
mod search;

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::Response;
use service_kit::{Service, catalog_routes, inventory_routes};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::shop::{Pages, Shop};
use crate::telemetry;

pub use self::front::front_service;

/// Whether the connection to inventory can be cut over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Faults {
    /// By `PUT /faults`.
    Allowed,
    /// Not at all.
    Refused,
}

/// Adds the shop's routes to a service, and its page.
pub fn service(service: Service, shop: Arc<Shop>, faults: Faults) -> Service {
    telemetry::describe();
    let health = OpenApiRouter::new().routes(routes!(operation::health));
    service
        .with_document(openapi::document())
        .with_routes(page_routes().with_state(shop.pages.clone()))
        .with_routes(fault_routes(faults).with_state(shop.clone()))
        .with_routes(catalogue(&shop))
        .with_routes(inventory_routes(
            shop.inventory.clone(),
            shop.clock().clone(),
        ))
        .with_routes(page::routes(Some(faults)).with_state(shop.pages.clone()))
        .with_unlimited_routes(health.with_state(shop.pages.clone()))
        .with_gauges(shop, |shop| async move {
            telemetry::set_circuit(&shop);
        })
}

fn page_routes() -> OpenApiRouter<Arc<Pages>> {
    OpenApiRouter::new()
        .routes(routes!(search::search))
        .routes(routes!(search::suggest))
        .routes(routes!(live::events))
}

fn fault_routes(faults: Faults) -> OpenApiRouter<Arc<Shop>> {
    let routes = OpenApiRouter::new();
    match faults {
        Faults::Allowed => routes.routes(routes!(operation::faults, operation::set_faults)),
        Faults::Refused => routes,
    }
}

/// The routes of the catalogue. Writers wait while search or pages are far behind.
fn catalogue(shop: &Arc<Shop>) -> OpenApiRouter {
    catalog_routes(shop.catalog.clone(), shop.availability.clone())
        .route_layer(middleware::from_fn_with_state(shop.clone(), with_room))
}

async fn with_room(State(shop): State<Arc<Shop>>, request: Request, next: Next) -> Response {
    if !request.method().is_safe() {
        shop.room_for_rows().await;
    }
    next.run(request).await
}
