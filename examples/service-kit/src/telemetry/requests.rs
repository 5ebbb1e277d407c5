//! Records metrics and a span for each request.

use std::time::Instant;

use axum::extract::{MatchedPath, Request};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use metrics::{counter, histogram};
use tracing::Span;

use super::{HTTP_REQUESTS, HTTP_SECONDS, traces};

/// The template of a request's route. There are few templates, but many paths.
fn route<B>(request: &axum::http::Request<B>) -> &str {
    let route = request.extensions().get::<MatchedPath>();
    route.map_or("none", MatchedPath::as_str)
}

/// The method. Methods that clients invent count as one.
fn method<B>(request: &axum::http::Request<B>) -> &'static str {
    match *request.method() {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::PUT => "PUT",
        Method::POST => "POST",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// Counts a request, and measures the time until its answer begins.
pub(crate) async fn measured(request: Request, next: Next) -> Response {
    let labels = [
        ("method", method(&request).to_owned()),
        ("route", route(&request).to_owned()),
    ];
    let started = Instant::now();
    let response = next.run(request).await;
    histogram!(HTTP_SECONDS, &labels).record(started.elapsed());
    let [method, route] = labels;
    let status = ("status", response.status().as_str().to_owned());
    counter!(HTTP_REQUESTS, &[method, route, status]).increment(1);
    response
}

/// The span of a request: log lines inside it have its method and route.
pub(crate) fn traced<B>(request: &axum::http::Request<B>) -> Span {
    let span = tracing::info_span!(
        traces::REQUEST,
        method = method(request),
        route = route(request)
    );
    traces::within_client(&span, request.headers());
    span
}
