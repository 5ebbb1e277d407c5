//! What goes for every request: how many there are at once, how long each takes, and that it is
//! counted.

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use metrics::{counter, histogram};
use tokio::sync::Semaphore;

use super::problem::Problem;
use crate::telemetry;

/// The longest that a request takes.
const DEADLINE: Duration = Duration::from_secs(30);

/// Bounds how many requests are served at once, and how long each takes.
pub(super) async fn bounded(
    State(gate): State<Arc<Semaphore>>,
    request: Request,
    next: Next,
) -> Response {
    let Ok(_place) = gate.try_acquire() else {
        return Problem::busy(Duration::from_secs(1)).into_response();
    };
    match tokio::time::timeout(DEADLINE, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::new(StatusCode::GATEWAY_TIMEOUT, "it took too long").into_response(),
    }
}

/// Counts requests by the template of their route, of which there are few.
pub(super) async fn measured(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or("none".to_owned(), |route| route.as_str().to_owned());
    let method = known(request.method());
    let started = Instant::now();
    let response = next.run(request).await;
    let labels = [("method", method.to_owned()), ("route", route)];
    histogram!(telemetry::HTTP_SECONDS, &labels).record(started.elapsed());
    let [method, route] = labels;
    let status = ("status", response.status().as_str().to_owned());
    counter!(telemetry::HTTP_REQUESTS, &[method, route, status]).increment(1);
    response
}

/// Anybody can invent methods.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::PUT => "PUT",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        _ => "other",
    }
}

pub(super) fn panicked(_: Box<dyn Any + Send + 'static>) -> Response {
    Problem::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "something is wrong on our side",
    )
    .into_response()
}
