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
use service_kit::{Query, Segment, find_product};

use self::shell::{Head, Shell};
use super::{Faults, search};
use crate::shop::Shop;

/// Scripts, styles and requests only from this server, nothing inline, and no text as markup.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self'; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; \
    frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

pub(super) fn routes(faults: Faults) -> Router<Arc<Shop>> {
    let listing = move |State(shop): State<Arc<Shop>>, params: Query| async move {
        listing(&shop, faults, &params).await
    };
    let product = move |State(shop): State<Arc<Shop>>, Segment(slug): Segment| async move {
        product(&shop, faults, &slug).await
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

async fn listing(shop: &Shop, faults: Faults, params: &Query) -> Response {
    let text = params.get("q").unwrap_or_default();
    let page = match search::query(params) {
        Ok(query) => shop.search.search(&query).await.ok(),
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

async fn product(shop: &Shop, faults: Faults, slug: &str) -> Response {
    let Ok(product) = find_product(&shop.catalog, slug).await else {
        let head = Head {
            title: "Not here · Stockade General Store",
            description: "There is no such product.",
        };
        let shell = Shell { faults, head };
        let page = Html(shell.with(&shell::nothing()).into_string());
        return (StatusCode::NOT_FOUND, page).into_response();
    };
    let content = &product.content;
    let skus: Vec<_> = content.variants.iter().map(|one| one.sku.clone()).collect();
    let stock = shop.availability.of(&skus).await;
    let title = format!("{} · Stockade General Store", content.title);
    let head = Head {
        title: &title,
        description: &content.description,
    };
    let shell = Shell { faults, head };
    let plain = shell::product(content, &stock.items);
    Html(shell.with(&plain).into_string()).into_response()
}
