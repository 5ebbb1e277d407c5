//! Answers requests for stock.

use std::future::Future;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use http_body_util::LengthLimitError;
use metrics::counter;
use serde::{Deserialize, Serialize};
use stockade_change_feed::Retry;
use stockade_inventory_core::{InventoryError, StockSource};
use tokio::time::timeout;

use crate::format::{
    FORMAT_VERSION, Problem, SCAN_PATH, STOCK_PATH, ScanAnswer, ScanRequest, Stock, StockAnswer,
    StockRequest, read,
};
use crate::telemetry;

/// The most SKUs of a request, and of a page.
pub const MAX_SKUS: usize = 1_000;

/// The largest body of a request, in bytes. A request of [`MAX_SKUS`] SKUs of any length fits.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;

/// How soon a client may repeat a request whose transaction was rolled back.
const SOON: Duration = Duration::from_secs(1);

/// The routes at [`STOCK_PATH`] and [`SCAN_PATH`], for your axum router. They answer an
/// `HttpStockSource`.
///
/// A request has at most [`MAX_SKUS`] SKUs and [`MAX_BODY_BYTES`] bytes, and is answered within 10
/// seconds. The routes check no token: add a layer of yours. They only read, although they are
/// requests with the method `POST`.
///
/// ```
/// use std::sync::Arc;
///
/// use stockade_change_feed::SystemClock;
/// use stockade_http::stock_routes;
/// use stockade_inventory_core::memory::MemoryInventory;
///
/// let store = MemoryInventory::new(Arc::new(SystemClock::new()));
/// let router: axum::Router = stock_routes(Arc::new(store));
/// ```
pub fn stock_routes(source: Arc<dyn StockSource>) -> Router {
    StockRoutes::new(source).router()
}

/// The routes of [`stock_routes`], with another deadline.
#[derive(Clone)]
pub struct StockRoutes {
    source: Arc<dyn StockSource>,
    timeout: Duration,
}

impl StockRoutes {
    /// Routes that return the stock of this source.
    #[must_use]
    pub fn new(source: Arc<dyn StockSource>) -> Self {
        Self {
            source,
            timeout: Duration::from_secs(10),
        }
    }

    /// Sets the longest time until a request has an answer, from its head on: 10 seconds by
    /// default. Later it is answered with 504.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The routes as a router.
    pub fn router(self) -> Router {
        Router::new()
            .route(STOCK_PATH, post(stock))
            .route(SCAN_PATH, post(scan))
            .with_state(self)
    }

    /// Answers within the deadline, and counts the answer.
    async fn answer<T: Serialize>(
        &self,
        operation: &'static str,
        answer: impl Future<Output = Result<T, Refusal>>,
    ) -> Response {
        let response = match timeout(self.timeout, answer).await {
            Ok(Ok(answer)) => {
                let stale = HeaderValue::from_static("no-store");
                ([(header::CACHE_CONTROL, stale)], Json(answer)).into_response()
            }
            Ok(Err(refusal)) => refusal.into_response(),
            Err(_) => {
                tracing::warn!(operation, timeout = ?self.timeout, "stock could not be read in time");
                Refusal::late(self.timeout).into_response()
            }
        };
        let status = response.status().as_str().to_owned();
        counter!(telemetry::ANSWERS, "operation" => operation, "status" => status).increment(1);
        response
    }
}

impl std::fmt::Debug for StockRoutes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StockRoutes")
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

async fn stock(State(routes): State<StockRoutes>, request: Request) -> Response {
    let answer = async {
        let body = body(request.into_body()).await?;
        let StockRequest { skus, .. } = parse(&body)?;
        if skus.len() > MAX_SKUS {
            let asked = skus.len();
            let why = format!("a request has at most {MAX_SKUS} SKUs; got {asked}");
            return Err(Refusal::invalid(Some("skus"), why));
        }
        let stock = routes.source.stock(&skus).await?;
        let stock = stock.into_iter().map(|stock| stock.map(Stock::from));
        Ok(StockAnswer {
            v: FORMAT_VERSION,
            stock: stock.collect(),
        })
    };
    routes.answer("stock", answer).await
}

async fn scan(State(routes): State<StockRoutes>, request: Request) -> Response {
    let answer = async {
        let body = body(request.into_body()).await?;
        let ScanRequest { after, limit, .. } = parse(&body)?;
        let limit = usize::try_from(limit).unwrap_or(MAX_SKUS).min(MAX_SKUS);
        let limit = NonZeroUsize::new(limit)
            .ok_or_else(|| Refusal::invalid(Some("limit"), "it has to be at least 1"))?;
        let page = routes.source.scan(after.as_ref(), limit).await?;
        Ok(ScanAnswer::from(page))
    };
    routes.answer("scan", answer).await
}

async fn body(body: Body) -> Result<Bytes, Refusal> {
    to_bytes(body, MAX_BODY_BYTES).await.map_err(|error| {
        let cause = std::error::Error::source(&error);
        if cause.is_some_and(<dyn std::error::Error>::is::<LengthLimitError>) {
            Refusal::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "body-too-large",
                "The request body is too large",
                format!("the body has more than {MAX_BODY_BYTES} bytes"),
            )
        } else {
            Refusal::invalid(None, "the body did not arrive")
        }
    })
}

fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Refusal> {
    read(body).map_err(|error| Refusal::invalid(error.field, format!("the body: {}", error.why)))
}

/// Why a request is not answered with stock.
#[derive(Debug)]
struct Refusal {
    problem: Problem,
    retry_after: Option<Duration>,
}

impl Refusal {
    fn new(status: StatusCode, kind: &str, title: &str, detail: impl Into<String>) -> Self {
        Self {
            problem: Problem {
                kind: format!("urn:stockade:problem:{kind}"),
                title: title.to_owned(),
                status: status.as_u16(),
                detail: detail.into(),
                field: None,
            },
            retry_after: None,
        }
    }

    fn invalid(field: Option<&str>, detail: impl Into<String>) -> Self {
        let title = "A value is not allowed";
        let mut refusal = Self::new(StatusCode::BAD_REQUEST, "invalid-value", title, detail);
        refusal.problem.field = field.map(str::to_owned);
        refusal
    }

    fn unavailable(retry_after: Duration) -> Self {
        let mut refusal = Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "A backend is unavailable",
            "a backend of the server is unavailable; try again",
        );
        refusal.retry_after = Some(retry_after);
        refusal
    }

    fn late(timeout: Duration) -> Self {
        Self::new(
            StatusCode::GATEWAY_TIMEOUT,
            "request-timeout",
            "The request took too long",
            format!("the stock could not be read within {timeout:?}; try again"),
        )
    }
}

/// The client gets the text of an error only if it caused it.
impl From<InventoryError> for Refusal {
    fn from(error: InventoryError) -> Self {
        if let InventoryError::Invalid { field, reason, .. } = error {
            return Self::invalid(Some(field), reason);
        }
        match error.retry() {
            Retry::After(retry_after) => {
                tracing::warn!(%error, "stock could not be read");
                Self::unavailable(retry_after)
            }
            Retry::RestartTransaction | Retry::OutcomeUnknown => {
                tracing::warn!(%error, "stock could not be read");
                Self::unavailable(SOON)
            }
            Retry::Never => {
                tracing::error!(%error, "stock could not be read");
                Self::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "internal",
                    "The server failed",
                    "the server failed to handle the request; the reason is in its log",
                )
            }
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.problem.status);
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self.problem)).into_response();
        let headers = response.headers_mut();
        let content_type = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, content_type);
        if let Some(after) = self.retry_after {
            let seconds = after.as_secs_f64().ceil().max(1.0);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds as u64));
        }
        response
    }
}
