//! For whoever runs the shop: `/healthz`, `/metrics` and `/faults`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::extract::Body;
use crate::shop::Shop;
use crate::telemetry;

/// How the shop is doing.
#[derive(Serialize, ToSchema)]
#[schema(as = Health)]
pub(super) struct HealthBody {
    #[schema(example = "ok")]
    status: &'static str,
    /// A worker that ended by itself, and why: the shop needs a restart.
    failed_worker: Option<String>,
    /// The state of the circuit between pages and the cache of stock.
    #[schema(example = "closed")]
    circuit: &'static str,
    consumer_lag: Vec<LagBody>,
}

/// How far a group of readers is behind.
#[derive(Serialize, ToSchema)]
#[schema(as = Lag)]
struct LagBody {
    group: String,
    /// Unread records; null where the log can't say.
    records: Option<u64>,
    /// Age of the oldest of them; null where the log can't say.
    age_seconds: Option<f64>,
}

/// How the shop is doing
///
/// Answers also where all places are taken.
#[utoipa::path(get, path = "/healthz", tag = "operation", responses(
    (status = 200, description = "All is well", body = HealthBody),
    (status = 503, description = "A worker has failed", body = HealthBody),
))]
pub(super) async fn health(State(shop): State<Arc<Shop>>) -> (StatusCode, Json<HealthBody>) {
    let health = shop.health().await;
    let (code, status) = match health.failed_worker {
        None => (StatusCode::OK, "ok"),
        Some(_) => (StatusCode::SERVICE_UNAVAILABLE, "failing"),
    };
    let lag = |lag: crate::shop::Lag| LagBody {
        group: lag.group,
        records: lag.records,
        age_seconds: lag.age.map(|age| age.as_secs_f64()),
    };
    let body = HealthBody {
        status,
        failed_worker: health.failed_worker,
        circuit: health.circuit.as_str(),
        consumer_lag: health.lag.into_iter().map(lag).collect(),
    };
    (code, Json(body))
}

/// What Prometheus asks for
///
/// Answers also where all places are taken.
#[utoipa::path(get, path = "/metrics", tag = "operation", responses(
    (status = 200, description = "All metrics in the text format", body = String, content_type = "text/plain"),
))]
pub(super) async fn metrics(State(shop): State<Arc<Shop>>) -> impl IntoResponse {
    let format = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    (format, telemetry::render(&shop).await)
}

/// What can be broken on purpose.
#[derive(Deserialize, Serialize, ToSchema)]
#[schema(as = Faults)]
#[serde(deny_unknown_fields)]
pub(super) struct FaultsBody {
    inventory: Reach,
}

#[derive(Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Reach {
    Reachable,
    Unreachable,
}

/// See what is broken on purpose
#[utoipa::path(get, path = "/faults", tag = "operation", responses(
    (status = 200, description = "What is broken", body = FaultsBody),
))]
pub(super) async fn faults(State(shop): State<Arc<Shop>>) -> Json<FaultsBody> {
    let inventory = if shop.cut().is_cut() {
        Reach::Unreachable
    } else {
        Reach::Reachable
    };
    Json(FaultsBody { inventory })
}

/// Cut the way from pages to inventory, or mend it
#[utoipa::path(put, path = "/faults", tag = "operation", request_body = FaultsBody, responses(
    (status = 204, description = "So it is from now on"),
))]
pub(super) async fn make_faults(
    State(shop): State<Arc<Shop>>,
    Body(body): Body<FaultsBody>,
) -> StatusCode {
    match body.inventory {
        Reach::Reachable => shop.cut().mend(),
        Reach::Unreachable => shop.cut().cut(),
    }
    StatusCode::NO_CONTENT
}
