//! Traces of requests, by OpenTelemetry.

use std::sync::OnceLock;

use anyhow::{Context as _, anyhow};
use axum::http::HeaderMap;
use opentelemetry::trace::{
    Span as _, SpanContext, SpanKind, TraceContextExt as _, TraceFlags, TraceState, Tracer as _,
    TracerProvider as _,
};
use opentelemetry::{Context, KeyValue, SpanId, TraceId};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    Sampler, SamplingDecision, SamplingResult, SdkTracer, SdkTracerProvider, ShouldSample,
};
use stockade_change_feed::trace::{self, TRACEPARENT, TraceContext, TraceSpan, Tracer};
use tracing::{Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Layer};

/// The name of the span of a request. Traces begin only there.
pub(super) const REQUEST: &str = "request";
/// The spans that are reported: all of the crates, and of this service.
const REPORTED: &str = "info,stockade=debug";

static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

/// Sends spans to a collector, and gives the crates a tracer. Call it once.
///
/// # Errors
/// If the URL is not allowed, or the process has a tracer already.
pub(super) fn layer<S>(
    service: &str,
    collector: &str,
    ratio: f64,
) -> anyhow::Result<impl Layer<S> + use<S>>
where
    S: Subscriber + for<'s> LookupSpan<'s>,
{
    let url = format!("{}/v1/traces", collector.trim_end_matches('/'));
    let exporter = SpanExporter::builder()
        .with_http()
        .with_endpoint(&url)
        .build()
        .with_context(|| format!("can't send traces to {url}; correct --traces"))?;
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_sampler(Requests(Sampler::TraceIdRatioBased(ratio)))
        .with_resource(
            Resource::builder()
                .with_service_name(service.to_owned())
                .build(),
        )
        .build();
    let tracer = provider.tracer("stockade");
    trace::install(OpenTelemetry(tracer.clone()))?;
    PROVIDER
        .set(provider)
        .map_err(|_| anyhow!("the process sends traces already"))?;
    let filter = EnvFilter::builder()
        .parse(REPORTED)
        .expect("it is a filter");
    Ok(tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_filter(filter))
}

/// Sends the spans that have ended and were not sent yet. Spans that end later are lost.
pub(crate) fn finish() {
    if let Some(Err(error)) = PROVIDER.get().map(SdkTracerProvider::shutdown) {
        tracing::warn!(%error, "the last traces could not be sent");
    }
}

/// Makes the span of a request one of the trace that the client began.
pub(super) fn within_client(span: &Span, headers: &HeaderMap) {
    let header = headers.get(TRACEPARENT).and_then(|it| it.to_str().ok());
    if PROVIDER.get().is_some()
        && let Some(Ok(client)) = header.map(str::parse)
    {
        // It fails where the span is not reported.
        let _ = span.set_parent(remote(&client));
    }
}

/// Spans for the work of the crates that is done outside of the request that caused it.
struct OpenTelemetry(SdkTracer);

impl Tracer for OpenTelemetry {
    fn current(&self) -> Option<TraceContext> {
        let context = Span::current().context();
        let span = context.span();
        let span = span.span_context();
        span.is_sampled().then(|| written(span)).flatten()
    }

    fn span(&self, name: &'static str, about: &str, within: &TraceContext) -> Box<dyn TraceSpan> {
        let span = self
            .0
            .span_builder(name)
            .with_kind(SpanKind::Internal)
            .with_attributes([KeyValue::new("about", about.to_owned())])
            .start_with_context(&self.0, &remote(within));
        let context = written(span.span_context());
        Box::new(Started {
            context: context.unwrap_or_else(|| within.clone()),
            _span: span,
        })
    }
}

/// A span that ends when it is dropped.
struct Started {
    context: TraceContext,
    _span: opentelemetry_sdk::trace::Span,
}

impl TraceSpan for Started {
    fn context(&self) -> TraceContext {
        self.context.clone()
    }
}

fn written(span: &SpanContext) -> Option<TraceContext> {
    let (trace, id) = (span.trace_id(), span.span_id());
    let flags = span.trace_flags().to_u8();
    format!("00-{trace}-{id}-{flags:02x}").parse().ok()
}

/// The context of a span in another process.
fn remote(context: &TraceContext) -> Context {
    let trace = TraceId::from_hex(context.trace_id()).unwrap_or(TraceId::INVALID);
    let span = SpanId::from_hex(context.span_id()).unwrap_or(SpanId::INVALID);
    let flags = TraceFlags::default().with_sampled(context.is_sampled());
    let span = SpanContext::new(trace, span, flags, true, TraceState::NONE);
    Context::new().with_remote_span_context(span)
}

/// Samples some of the requests that do not belong to a client's trace, and nothing else: workers
/// that run as long as the process would be one endless trace. What belongs to a trace is sampled
/// as its beginning is.
#[derive(Clone, Debug)]
struct Requests(Sampler);

impl ShouldSample for Requests {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[opentelemetry::trace::Link],
    ) -> SamplingResult {
        let within = parent.filter(|parent| parent.span().span_context().is_valid());
        let decision = match within {
            Some(parent) if parent.span().span_context().is_sampled() => {
                SamplingDecision::RecordAndSample
            }
            None if name == REQUEST => {
                return self
                    .0
                    .should_sample(parent, trace_id, name, kind, attributes, links);
            }
            _ => SamplingDecision::Drop,
        };
        SamplingResult {
            decision,
            attributes: Vec::new(),
            trace_state: TraceState::NONE,
        }
    }
}
