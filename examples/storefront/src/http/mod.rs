//! The shop over HTTP.

mod bounds;
mod extract;
mod live;
mod openapi;
mod operation;
mod page;
mod problem;
mod products;
mod reservations;
mod schemas;
mod search;
mod stock;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::http::StatusCode;
use axum::middleware;
use stockade_change_feed::Timestamp;
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::trace::TraceLayer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use utoipa_swagger_ui::SwaggerUi;

use self::problem::Problem;
use crate::shop::Shop;

/// Whether faults can be made over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Faults {
    /// `PUT /faults` makes them, for whoever wants to see what happens.
    Allowed,
    /// They can't.
    Refused,
}

/// The shop's routes, and beside them their document at `/openapi.json`, to be browsed at `/docs`.
pub fn router(shop: Arc<Shop>, faults: Faults) -> Router {
    let gate = Arc::new(Semaphore::new(shop.limits().requests));
    let (gated, mut document) = gated(faults).split_for_parts();
    // These answer also where all places are taken.
    let (open, more) = OpenApiRouter::new()
        .routes(routes!(operation::health))
        .routes(routes!(operation::metrics))
        .split_for_parts();
    document.merge(more);
    openapi::complete(&mut document);
    gated
        .merge(page::routes(faults))
        .fallback(|| async {
            Problem::not_found("there is nothing at this path").with("field", "path")
        })
        .method_not_allowed_fallback(|| async {
            Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "this path has other methods",
            )
            .with("field", "method")
        })
        .layer(middleware::from_fn_with_state(gate, bounds::bounded))
        .merge(open)
        .with_state(shop)
        .merge(SwaggerUi::new("/docs").url("/openapi.json", document))
        .layer(CatchPanicLayer::custom(bounds::panicked))
        .layer(middleware::from_fn(bounds::measured))
        .layer(TraceLayer::new_for_http())
}

/// The routes that share the places for requests.
fn gated(faults: Faults) -> OpenApiRouter<Arc<Shop>> {
    let routes = OpenApiRouter::with_openapi(openapi::document())
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
        Faults::Allowed => routes.routes(routes!(operation::faults, operation::make_faults)),
        Faults::Refused => routes,
    }
}

/// A time as RFC 3339 has it.
fn time(time: Timestamp) -> String {
    let micros = u64::try_from(time.as_micros()).unwrap_or(0);
    // 9999-12-31 is the last day that the format can say.
    let seconds = (micros / 1_000_000).min(253_402_300_799);
    let at = Duration::new(seconds, (micros % 1_000_000) as u32 * 1_000);
    humantime::format_rfc3339_micros(SystemTime::UNIX_EPOCH + at).to_string()
}
