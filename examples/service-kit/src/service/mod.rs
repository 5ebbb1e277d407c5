//! A service over HTTP: its routes within limits, and the routes that every service has.

mod openapi;
mod operation;

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Extension, Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::trace::TraceLayer;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_swagger_ui::SwaggerUi;

use self::operation::Operation;
use crate::auth::{WriteTokens, authorized};
use crate::extract::BodyLimits;
use crate::limits::Limits;
use crate::problem::{Problem, ProblemType};
use crate::readiness::Readiness;
use crate::serve::{serve, stop_signal};
use crate::telemetry;
use crate::workers::Workers;

/// How soon a client may try again when the limit of requests is reached.
const COME_BACK: Duration = Duration::from_secs(1);

/// A service over HTTP.
///
/// Its routes run within [`Limits`]. Requests that write need a [token](WriteTokens). A panic, an
/// unknown path or method, and everything over a limit is answered with a [`Problem`]. Every
/// service also has these routes:
///
/// | | |
/// |---|---|
/// | `GET /livez` | 204 while the process can answer |
/// | `GET /readyz` | 200 if it can be sent requests, else 503, with the [reasons](crate::ReadinessReport) |
/// | `GET /metrics` | All metrics, as Prometheus reads them |
/// | `GET /openapi.json`, `GET /docs` | The OpenAPI document of all routes |
///
/// These routes are answered without a token, and even when the limit of requests is reached.
#[must_use = "a service does nothing until it runs"]
pub struct Service {
    limits: Limits,
    readiness: Readiness,
    tokens: WriteTokens,
    document: OpenApi,
    routes: OpenApiRouter,
    reading: OpenApiRouter,
    unlimited: OpenApiRouter,
    gauges: Vec<Gauges>,
}

pub(crate) type Gauges = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

impl Service {
    /// A service without its own routes. All clients may write.
    pub fn new(limits: Limits, readiness: Readiness) -> Self {
        Self {
            limits,
            readiness,
            tokens: WriteTokens::default(),
            document: OpenApi::default(),
            routes: OpenApiRouter::new(),
            reading: OpenApiRouter::new(),
            unlimited: OpenApiRouter::new(),
            gauges: Vec::new(),
        }
    }

    /// Sets the tokens for writing: all requests except GET, HEAD and OPTIONS need one of them.
    pub fn with_write_tokens(mut self, tokens: WriteTokens) -> Self {
        self.tokens = tokens;
        self
    }

    /// Sets the title, description, tags and schemas of the OpenAPI document. The routes are added
    /// to it, with the problems that any route may return.
    pub fn with_document(mut self, document: OpenApi) -> Self {
        self.document = document;
        self
    }

    /// Adds routes. Those of an [`OpenApiRouter`] are in the OpenAPI document; those of a
    /// [`Router`] are not.
    pub fn with_routes(mut self, routes: impl Into<OpenApiRouter>) -> Self {
        self.routes = self.routes.merge(routes.into());
        self
    }

    /// Adds routes that only read, whatever their method: they are answered without a token. An
    /// example is a `POST` whose body is a list that is too long for a URL.
    pub fn with_reading_routes(mut self, routes: impl Into<OpenApiRouter>) -> Self {
        self.reading = self.reading.merge(routes.into());
        self
    }

    /// Adds routes for operators, which are answered without a token, and even when the limit of
    /// requests is reached.
    pub fn with_unlimited_routes(mut self, routes: impl Into<OpenApiRouter>) -> Self {
        self.unlimited = self.unlimited.merge(routes.into());
        self
    }

    /// Adds a function that sets gauges. It is called before each answer of `/metrics`, and must
    /// return soon.
    pub fn with_gauges<S, F, R>(mut self, of: S, set: F) -> Self
    where
        S: Clone + Send + Sync + 'static,
        F: Fn(S) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        self.gauges
            .push(Arc::new(move || Box::pin(set(of.clone()))));
        self
    }

    /// The routes, for your own server.
    pub fn router(self) -> Router {
        telemetry::start();
        let (routes, mut document) = OpenApiRouter::with_openapi(self.document)
            .merge(self.routes)
            .split_for_parts();
        let (reading, more) = self.reading.split_for_parts();
        document.merge(more);
        let operation = Operation {
            readiness: self.readiness,
            gauges: self.gauges.into(),
        };
        let (unlimited, more) = operation::routes(operation)
            .merge(self.unlimited)
            .split_for_parts();
        document.merge(more);
        openapi::complete(&mut document, !self.tokens.is_empty());
        let gate = Gate {
            places: Arc::new(Semaphore::new(self.limits.max_requests as usize)),
            timeout: self.limits.request_timeout,
        };
        routes
            .fallback(unknown_path)
            .method_not_allowed_fallback(unknown_method)
            .layer(middleware::from_fn_with_state(self.tokens, authorized))
            .merge(reading.method_not_allowed_fallback(unknown_method))
            .layer(middleware::from_fn_with_state(gate, limited))
            .merge(unlimited)
            .merge(SwaggerUi::new("/docs").url("/openapi.json", document))
            .layer(Extension(BodyLimits::from(&self.limits)))
            .layer(CatchPanicLayer::custom(panicked))
            .layer(middleware::from_fn(telemetry::measured))
            .layer(
                TraceLayer::new_for_http()
                    .make_span_with(telemetry::traced)
                    .on_failure(()),
            )
    }

    /// Serves until the process gets Ctrl-C or SIGTERM, and then stops as
    /// [`run_until`](Self::run_until) does.
    pub async fn run(self, listener: TcpListener, workers: Workers) {
        self.run_until(listener, workers, stop_signal()).await;
    }

    /// Serves until `stop` is ready, and then stops:
    ///
    /// 1. It reports that it is stopping, and still answers for [`Limits::stop_delay`].
    /// 2. It accepts no more connections, and lets requests in progress finish, for at most
    ///    [`Limits::stop_timeout`].
    /// 3. It stops the workers, which takes at most the same time again.
    pub async fn run_until(
        self,
        listener: TcpListener,
        mut workers: Workers,
        stop: impl Future<Output = ()>,
    ) {
        let (limits, readiness) = (self.limits, self.readiness.clone());
        workers.spawn("metrics upkeep", telemetry::upkeep);
        let stop = async {
            stop.await;
            tracing::info!("stopping");
            readiness.stop();
            tokio::time::sleep(limits.stop_delay).await;
        };
        serve(listener, self.router(), limits, stop).await;
        workers.stop(limits.stop_timeout).await;
        // It waits for the collector.
        let _ = tokio::task::spawn_blocking(telemetry::finish).await;
        tracing::info!("stopped");
    }
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service")
            .field("limits", &self.limits)
            .field("tokens", &self.tokens)
            .finish_non_exhaustive()
    }
}

/// Limits how many requests are handled at once, and how long each takes.
#[derive(Clone)]
struct Gate {
    places: Arc<Semaphore>,
    timeout: Duration,
}

async fn limited(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let Ok(_place) = gate.places.try_acquire() else {
        return Problem::overloaded(COME_BACK).into_response();
    };
    match tokio::time::timeout(gate.timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            tracing::warn!(timeout = ?gate.timeout, "a request took too long");
            let detail = format!(
                "the request had no answer within {:?}; it is unknown whether it took effect",
                gate.timeout
            );
            Problem::new(ProblemType::REQUEST_TIMEOUT, detail).into_response()
        }
    }
}

async fn unknown_path() -> Problem {
    Problem::not_found("the service has no such path").with("field", "path")
}

async fn unknown_method() -> Problem {
    let detail =
        "the path does not support this method; the header Allow lists the supported methods";
    Problem::new(ProblemType::METHOD_NOT_ALLOWED, detail).with("field", "method")
}

#[allow(clippy::needless_pass_by_value, reason = "the layer passes it so")]
fn panicked(_: Box<dyn Any + Send + 'static>) -> Response {
    // The panic hook has written its message.
    tracing::error!("a handler panicked");
    Problem::internal().into_response()
}
