//! The shop over HTTP.

mod extract;
mod problem;
mod products;
mod reservations;
mod search;
mod stock;

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Json;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use extract::Body;
use problem::Problem;
use serde::Deserialize;
use serde_json::{Value, json};
use stockade_change_feed::Timestamp;
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::trace::TraceLayer;

use crate::shop::Shop;

/// Requests that are served at once; more are told to come back.
const REQUESTS: usize = 4096;
/// The longest that a request takes.
const DEADLINE: Duration = Duration::from_secs(30);

/// Whether faults can be made over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Faults {
    /// `PUT /faults` makes them, for whoever wants to see what happens.
    Allowed,
    /// They can't.
    Refused,
}

/// The shop's routes.
pub fn router(shop: Arc<Shop>, faults: Faults) -> Router {
    let gate = Arc::new(Semaphore::new(REQUESTS));
    let routes = match faults {
        Faults::Allowed => Router::new().route("/faults", put(make_faults)),
        Faults::Refused => Router::new(),
    };
    // Answers also where all places are taken.
    let health = Router::new()
        .route("/healthz", get(health))
        .with_state(shop.clone());
    routes
        .route("/search", get(search::search))
        .route("/suggest", get(search::suggest))
        .route("/products", get(products::list))
        .route(
            "/products/{id}",
            get(products::page)
                .put(products::put)
                .delete(products::delete),
        )
        .route("/product-types", get(products::types))
        .route("/product-types/{name}", put(products::put_type))
        .route("/reserve", post(reservations::reserve))
        .route("/reservations/{id}", get(reservations::show))
        .route("/reservations/{id}/confirm", post(reservations::confirm))
        .route("/reservations/{id}/release", post(reservations::release))
        .route("/reservations/{id}/cancel", post(reservations::cancel))
        .route("/reservations/{id}/fulfil", post(reservations::fulfil))
        .route("/reservations/{id}/extend", post(reservations::extend))
        .route("/stock", post(stock::adjust))
        .route("/stock/{sku}", get(stock::show))
        .route("/stock/{sku}/movements", get(stock::movements))
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
        .with_state(shop)
        .layer(middleware::from_fn_with_state(gate, bounded))
        .merge(health)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(TraceLayer::new_for_http())
}

/// Bounds how many requests are served at once, and how long each takes.
async fn bounded(State(gate): State<Arc<Semaphore>>, request: Request, next: Next) -> Response {
    let Ok(_place) = gate.try_acquire() else {
        return Problem::busy(Duration::from_secs(1)).into_response();
    };
    match tokio::time::timeout(DEADLINE, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(StatusCode::GATEWAY_TIMEOUT, "it took too long").into_response(),
    }
}

fn panicked(_: Box<dyn Any + Send + 'static>) -> Response {
    Problem::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "something is wrong on our side",
    )
    .into_response()
}

async fn health(State(shop): State<Arc<Shop>>) -> (StatusCode, Json<Value>) {
    let health = shop.health().await;
    let status = match health.failed_worker {
        None => StatusCode::OK,
        Some(_) => StatusCode::SERVICE_UNAVAILABLE,
    };
    let lag: Vec<_> = health
        .lag
        .iter()
        .map(|(group, records)| json!({"group": group, "records": records}))
        .collect();
    (
        status,
        Json(json!({
            "status": if status == StatusCode::OK { "ok" } else { "failing" },
            "failed_worker": health.failed_worker,
            "circuit": health.circuit,
            "consumer_lag": lag,
        })),
    )
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultsBody {
    inventory: Reach,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Reach {
    Reachable,
    Unreachable,
}

async fn make_faults(State(shop): State<Arc<Shop>>, Body(body): Body<FaultsBody>) -> StatusCode {
    match body.inventory {
        Reach::Reachable => shop.cut().mend(),
        Reach::Unreachable => shop.cut().cut(),
    }
    StatusCode::NO_CONTENT
}

/// A time as RFC 3339 has it.
fn time(time: Timestamp) -> String {
    let micros = u64::try_from(time.as_micros()).unwrap_or(0);
    // 9999-12-31 is the last day that the format can say.
    let seconds = (micros / 1_000_000).min(253_402_300_799);
    let at = Duration::new(seconds, (micros % 1_000_000) as u32 * 1_000);
    humantime::format_rfc3339_micros(SystemTime::UNIX_EPOCH + at).to_string()
}
