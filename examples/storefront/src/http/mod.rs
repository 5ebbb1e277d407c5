//! The shop over HTTP.

mod live;
mod openapi;
mod operation;
mod page;
mod products;
mod reservations;
mod schemas;
mod search;
mod stock;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use service_kit::Service;
use stockade_change_feed::Timestamp;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::shop::Shop;
use crate::telemetry;

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
        .with_routes(routes(faults).with_state(shop.clone()))
        .with_routes(page::routes(faults).with_state(shop.clone()))
        .with_gauges(shop.clone(), |shop| async move {
            telemetry::set_gauges(&shop).await;
        })
        .with_unlimited_routes(health.with_state(shop))
}

fn routes(faults: Faults) -> OpenApiRouter<Arc<Shop>> {
    let routes = OpenApiRouter::new()
        .routes(routes!(search::search))
        .routes(routes!(search::suggest))
        .routes(routes!(products::list))
        .routes(routes!(products::page, products::put, products::delete))
        .routes(routes!(products::types))
        .routes(routes!(products::put_type))
        .routes(routes!(reservations::reserve))
        .routes(routes!(reservations::show))
        .routes(routes!(reservations::confirm))
        .routes(routes!(reservations::release))
        .routes(routes!(reservations::cancel))
        .routes(routes!(reservations::fulfil))
        .routes(routes!(reservations::extend))
        .routes(routes!(stock::adjust))
        .routes(routes!(stock::show))
        .routes(routes!(stock::movements))
        .routes(routes!(live::many))
        .routes(routes!(live::events));
    match faults {
        Faults::Allowed => routes.routes(routes!(operation::faults, operation::set_faults)),
        Faults::Refused => routes,
    }
}

/// A time in the format of RFC 3339.
fn time(time: Timestamp) -> String {
    let micros = u64::try_from(time.as_micros()).unwrap_or(0);
    // The end of 9999-12-31 is the last time that the format has.
    let seconds = (micros / 1_000_000).min(253_402_300_799);
    let at = Duration::new(seconds, (micros % 1_000_000) as u32 * 1_000);
    humantime::format_rfc3339_micros(SystemTime::UNIX_EPOCH + at).to_string()
}
