//! A collector of traces.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// An OpenTelemetry collector in this process: it takes traces by OTLP over HTTP, and keeps their
/// spans.
#[derive(Debug)]
pub struct Collector {
    url: String,
    spans: Spans,
    serving: JoinHandle<()>,
}

type Spans = Arc<Mutex<Vec<Span>>>;

/// A span that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The name of the service that it is of.
    pub service: String,
    /// Its name.
    pub name: String,
    /// The id of its trace, in hexadecimal digits.
    pub trace: String,
    /// Its id, in hexadecimal digits.
    pub id: String,
    /// The id of the span that it is part of, in hexadecimal digits; empty for the first of a trace.
    pub parent: String,
}

impl Collector {
    /// Starts it on a free port.
    ///
    /// # Errors
    /// When the port can not be had.
    pub async fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let spans = Spans::default();
        let routes = Router::new()
            .route("/v1/traces", post(keep))
            .with_state(spans.clone());
        let serving = tokio::spawn(async move {
            // It ends with the handle.
            let _ = axum::serve(listener, routes).await;
        });
        Ok(Self {
            url,
            spans,
            serving,
        })
    }

    /// The URL for services.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The spans of a trace that have arrived.
    #[must_use]
    pub fn spans(&self, trace: &str) -> Vec<Span> {
        let spans = lock(&self.spans);
        spans
            .iter()
            .filter(|span| span.trace == trace)
            .cloned()
            .collect()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn lock(spans: &Spans) -> MutexGuard<'_, Vec<Span>> {
    spans.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn keep(State(spans): State<Spans>, body: Bytes) -> StatusCode {
    let Ok(request) = ExportTraceServiceRequest::decode(body) else {
        return StatusCode::BAD_REQUEST;
    };
    for group in request.resource_spans {
        let attributes = group.resource.unwrap_or_default().attributes;
        let name = attributes.into_iter().find(|it| it.key == "service.name");
        let service = match name.and_then(|it| it.value).and_then(|it| it.value) {
            Some(Value::StringValue(name)) => name,
            _ => String::new(),
        };
        let found = group.scope_spans.into_iter().flat_map(|scope| scope.spans);
        lock(&spans).extend(found.map(|span| Span {
            service: service.clone(),
            name: span.name,
            trace: hex(&span.trace_id),
            id: hex(&span.span_id),
            parent: hex(&span.parent_span_id),
        }));
    }
    StatusCode::OK
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
