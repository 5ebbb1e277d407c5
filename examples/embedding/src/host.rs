//! What the service had before: its state, its page, and how it knows who is asking.

use axum::Router;
use axum::extract::{FromRequestParts, State};
use axum::http::{StatusCode, header, request::Parts};
use axum::routing::get;
use stockade_inventory_core::OwnerId;

/// The service's own state.
#[derive(Clone, Debug)]
pub struct App {
    /// Shown at `/`.
    pub name: &'static str,
}

/// The service's own routes.
pub fn routes() -> Router<App> {
    Router::new().route("/", get(|State(app): State<App>| async move { app.name }))
}

/// The customer who sends the request. Replace it by your authentication: it accepts any name.
pub struct Customer(pub OwnerId);

impl<S: Sync> FromRequestParts<S> for Customer {
    type Rejection = StatusCode;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, StatusCode> {
        let authorization = parts.headers.get(header::AUTHORIZATION);
        let name = authorization.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let owner = name.and_then(|name| OwnerId::new(name).ok());
        owner.map(Self).ok_or(StatusCode::UNAUTHORIZED)
    }
}
