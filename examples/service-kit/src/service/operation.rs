//! Routes for operators: `/livez`, `/readyz` and `/metrics`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use futures::future::join_all;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Gauges;
use crate::readiness::{Readiness, ReadinessReport, ReadinessStatus};
use crate::telemetry;

#[derive(Clone)]
pub(super) struct Operation {
    pub(super) readiness: Readiness,
    pub(super) gauges: Arc<[Gauges]>,
}

pub(super) fn routes(operation: Operation) -> OpenApiRouter {
    OpenApiRouter::new()
        .routes(routes!(live))
        .routes(routes!(ready))
        .routes(routes!(metrics))
        .with_state(operation)
}

/// Check that the process can answer
#[utoipa::path(get, path = "/livez", tag = "operation", operation_id = "getLiveness", responses(
    (status = 204, description = "The process can answer"),
))]
async fn live() -> StatusCode {
    StatusCode::NO_CONTENT
}

/// Check that requests can be sent to the service
///
/// It is ready if all workers run, all checks pass, and it is not stopping.
#[utoipa::path(get, path = "/readyz", tag = "operation", operation_id = "getReadiness", responses(
    (status = 200, description = "The service is ready", body = ReadinessReport),
    (status = 503, description = "The service is not ready", body = ReadinessReport),
))]
async fn ready(State(operation): State<Operation>) -> (StatusCode, Json<ReadinessReport>) {
    let report = operation.readiness.report().await;
    let status = match report.status {
        ReadinessStatus::Ready => StatusCode::OK,
        ReadinessStatus::NotReady | ReadinessStatus::Stopping => StatusCode::SERVICE_UNAVAILABLE,
    };
    (status, Json(report))
}

/// Get all metrics in the text format of Prometheus
#[utoipa::path(get, path = "/metrics", tag = "operation", operation_id = "getMetrics", responses(
    (status = 200, description = "All metrics", body = String, content_type = "text/plain"),
))]
async fn metrics(State(operation): State<Operation>) -> impl IntoResponse {
    join_all(operation.gauges.iter().map(|set| set())).await;
    let format = [(header::CONTENT_TYPE, "text/plain; version=0.0.4")];
    (format, telemetry::render(&operation.readiness))
}
