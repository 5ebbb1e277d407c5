//! Routes for operators: `/healthz` and `/faults`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use service_kit::Body;
use stockade_catalog_core::CircuitState;
use utoipa::ToSchema;

use crate::shop::{Pages, Shop};

/// The health of the shop.
#[derive(Serialize, ToSchema)]
#[schema(as = Health)]
pub(super) struct HealthBody {
    /// `ok`, or `failing` if a worker failed.
    #[schema(example = "ok")]
    status: &'static str,
    /// The first worker that failed, and why: the shop must be restarted. Null if none has.
    failed_worker: Option<String>,
    /// The state of the availability circuit: while it is not `closed`, pages do not trust the
    /// cache of stock. Null if it is in another service.
    #[schema(example = "closed")]
    circuit: Option<&'static str>,
    /// How far each consumer group is behind.
    consumer_lag: Vec<LagBody>,
}

/// How far a consumer group is behind.
#[derive(Serialize, ToSchema)]
#[schema(as = Lag)]
struct LagBody {
    /// The name of the group.
    group: String,
    /// Unread records; null if the log does not answer.
    records: Option<u64>,
    /// Age of the oldest unread record in seconds, 0 if there is none; null if the log does not
    /// answer.
    age_seconds: Option<f64>,
}

/// Get the health of the shop
///
/// It is answered even while the server is overloaded.
#[utoipa::path(get, path = "/healthz", tag = "operation", operation_id = "getHealth", responses(
    (status = 200, description = "All workers run", body = HealthBody),
    (status = 503, description = "A worker failed", body = HealthBody),
))]
pub(super) async fn health(State(pages): State<Arc<Pages>>) -> (StatusCode, Json<HealthBody>) {
    let health = pages.health().await;
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
        circuit: health.circuit.map(CircuitState::as_str),
        consumer_lag: health.lag.into_iter().map(lag).collect(),
    };
    (code, Json(body))
}

/// Faults that are caused on purpose.
#[derive(Deserialize, Serialize, ToSchema)]
#[schema(as = Faults)]
#[serde(deny_unknown_fields)]
pub(super) struct FaultsBody {
    inventory: Reach,
}

/// Whether pages can reach inventory.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Reach {
    Reachable,
    Unreachable,
}

/// Get the faults that are caused on purpose
#[utoipa::path(get, path = "/faults", tag = "operation", operation_id = "getFaults", responses(
    (status = 200, description = "The faults", body = FaultsBody),
))]
pub(super) async fn faults(State(shop): State<Arc<Shop>>) -> Json<FaultsBody> {
    let inventory = if shop.cut().is_cut() {
        Reach::Unreachable
    } else {
        Reach::Reachable
    };
    Json(FaultsBody { inventory })
}

/// Cut the connection from pages to inventory, or restore it
#[utoipa::path(put, path = "/faults", tag = "operation", operation_id = "setFaults", request_body = FaultsBody, responses(
    (status = 204, description = "Done"),
))]
pub(super) async fn set_faults(
    State(shop): State<Arc<Shop>>,
    Body(body): Body<FaultsBody>,
) -> StatusCode {
    match body.inventory {
        Reach::Reachable => shop.cut().mend(),
        Reach::Unreachable => shop.cut().cut(),
    }
    StatusCode::NO_CONTENT
}
