//! The pages of the shop: `/`, a product at `/p/{slug}`, and their files.
//!
//! The scripts use the same routes as any other client. Without scripts, users can still find
//! products and read about them.

mod assets;
mod shell;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use service_kit::{Problem, Query, Segment};

use self::shell::{Head, Product, Shell};
use super::{Faults, search};
use crate::shop::Pages;

/// Scripts, styles and requests only from this server, nothing inline, and no text as markup.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self'; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; \
    frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// The pages. A front has no `faults`: what it reaches inventory by is not in this process.
pub(super) fn routes(faults: Option<Faults>) -> Router<Arc<Pages>> {
    let listing = move |State(pages): State<Arc<Pages>>, params: Query| async move {
        listing(&pages, faults, &params).await
    };
    let product = move |State(pages): State<Arc<Pages>>, Segment(slug): Segment| async move {
        product(&pages, faults, &slug).await
    };
    Router::new()
        .route("/", get(listing))
        .route("/p/{slug}", get(product))
        .route("/assets/{version}/{name}", get(assets::serve))
        .layer(middleware::from_fn(guarded))
}

async fn guarded(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-cache"));
    response
}

async fn listing(pages: &Pages, faults: Option<Faults>, params: &Query) -> Response {
    let text = params.get("q").unwrap_or_default();
    let page = match search::query(params) {
        Ok(query) => pages.search.search(&query).await.ok(),
        Err(_) => None,
    };
    let title = match text {
        "" => "Stockade General Store".to_owned(),
        text => format!("{text} · Stockade General Store"),
    };
    let head = Head {
        title: &title,
        description: "Search as you type, live stock, and reservations that hold.",
    };
    let shell = Shell { faults, head };
    Html(shell.with(&shell::hits(text, page.as_ref())).into_string()).into_response()
}

async fn product(pages: &Pages, faults: Option<Faults>, slug: &str) -> Response {
    let product = match pages.products.product(slug).await {
        Ok(body) => serde_json::from_value::<Product>(body).ok(),
        Err(problem) if problem.status().is_server_error() => return unavailable(faults, &problem),
        Err(_) => None,
    };
    let Some(product) = product else {
        let head = Head {
            title: "Not here · Stockade General Store",
            description: "There is no such product.",
        };
        let shell = Shell { faults, head };
        let page = Html(shell.with(&shell::nothing()).into_string());
        return (StatusCode::NOT_FOUND, page).into_response();
    };
    let title = format!("{} · Stockade General Store", product.title);
    let head = Head {
        title: &title,
        description: &product.description,
    };
    let shell = Shell { faults, head };
    Html(shell.with(&shell::product(&product)).into_string()).into_response()
}

/// The page while the catalogue can't be asked. Its scripts ask again.
fn unavailable(faults: Option<Faults>, problem: &Problem) -> Response {
    let head = Head {
        title: "Not now · Stockade General Store",
        description: "The shop does not answer.",
    };
    let shell = Shell { faults, head };
    let page = Html(shell.with(&shell::unavailable()).into_string());
    (problem.status(), page).into_response()
}
