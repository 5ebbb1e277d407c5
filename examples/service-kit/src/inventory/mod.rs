//! The routes of inventory: reservations, stock and its movements.

mod reservations;
mod stock;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use stockade_change_feed::{Clock, Timestamp};
use stockade_inventory_core::Inventory;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes of an inventory, for [`Service::with_routes`](crate::Service::with_routes):
///
/// | | |
/// |---|---|
/// | `POST /reserve` | Reserves units for an owner |
/// | `GET /reservations/{id}` | A reservation |
/// | `POST /reservations/{id}/confirm`, `release`, `cancel`, `fulfil`, `extend` | Its steps |
/// | `POST /stock` | Sets, receives or corrects stock |
/// | `GET /stock/{sku}` | The stock of a SKU at all locations |
/// | `GET /stock/{sku}/movements` | Its movements, in pages |
///
/// The clock is that of the host. Remaining times are computed with it, and the deadlines of
/// extended reservations.
pub fn inventory_routes(inventory: Inventory, clock: Arc<dyn Clock>) -> OpenApiRouter {
    routes().with_state(Desk { inventory, clock })
}

/// The OpenAPI document of [`inventory_routes`], for a service that passes them on to another one.
#[must_use]
pub fn inventory_document() -> OpenApi {
    routes().into_openapi()
}

fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new()
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
}

/// What the routes need.
#[derive(Clone)]
struct Desk {
    inventory: Inventory,
    clock: Arc<dyn Clock>,
}

/// A time in the format of RFC 3339, with microseconds.
#[must_use]
pub fn rfc3339(time: Timestamp) -> String {
    let micros = u64::try_from(time.as_micros()).unwrap_or(0);
    // The end of 9999-12-31 is the last time that the format has.
    let seconds = (micros / 1_000_000).min(253_402_300_799);
    let at = Duration::new(seconds, (micros % 1_000_000) as u32 * 1_000);
    humantime::format_rfc3339_micros(SystemTime::UNIX_EPOCH + at).to_string()
}
