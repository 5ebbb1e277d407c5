//! Traces that go on across a log: which request a record comes from.
//!
//! The crates use no tracing system of their own. A host that has one, such as OpenTelemetry,
//! installs a [`Tracer`]; then a store keeps the context of a request with its change, the record
//! of the change carries it in the header [`TRACEPARENT`], and a [`Consumer`](crate::Consumer)
//! reports a span of that trace while it handles the record. Without a tracer nothing of this costs
//! anything.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use auto_impl::auto_impl;
use thiserror::Error;

use crate::error::FeedError;
use crate::record::{Headers, Record};
use crate::text::shorten;

/// The header of a record, and of an HTTP request, that carries its context.
pub const TRACEPARENT: &str = "traceparent";

static TRACER: OnceLock<Box<dyn Tracer>> = OnceLock::new();

/// The trace and the span that something belongs to, as the `traceparent` of the W3C's [Trace
/// Context](https://www.w3.org/TR/trace-context/) of version 00:
/// `00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TraceContext(String);

impl TraceContext {
    /// The text, 55 characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id of the trace, 32 hexadecimal digits.
    #[must_use]
    pub fn trace_id(&self) -> &str {
        &self.0[3..35]
    }

    /// The id of the span, 16 hexadecimal digits.
    #[must_use]
    pub fn span_id(&self) -> &str {
        &self.0[36..52]
    }

    /// Whether the trace is recorded.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        u8::from_str_radix(&self.0[53..], 16).is_ok_and(|flags| flags & 1 == 1)
    }

    /// The context of a record; none if it has no header, or one of another form.
    #[must_use]
    pub fn of(record: &Record) -> Option<Self> {
        let header = record.headers.get(TRACEPARENT)?;
        std::str::from_utf8(header).ok()?.parse().ok()
    }

    /// The headers with the context.
    #[must_use]
    pub fn into_headers(self) -> Headers {
        Headers::new().with(TRACEPARENT, self.0)
    }
}

impl FromStr for TraceContext {
    type Err = FeedError;

    /// # Errors
    /// [`FeedError::Malformed`].
    fn from_str(text: &str) -> Result<Self, FeedError> {
        let is_hex = |part: &str, digits: usize| {
            let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            part.len() == digits && part.bytes().all(digit)
        };
        let is_id = |part: &str, digits| is_hex(part, digits) && part.bytes().any(|it| it != b'0');
        let parts: Vec<&str> = text.split('-').collect();
        match parts[..] {
            ["00", trace, span, flags]
                if is_id(trace, 32) && is_id(span, 16) && is_hex(flags, 2) =>
            {
                Ok(Self(text.to_owned()))
            }
            _ => Err(FeedError::Malformed {
                format: "trace context",
                field: TRACEPARENT.to_owned(),
                reason: format!("{:?} is not of the form 00-TRACE-SPAN-FLAGS", shorten(text)),
            }),
        }
    }
}

impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The tracing system of a host.
#[auto_impl(&, Box, Arc)]
pub trait Tracer: Send + Sync {
    /// The context of the code that calls this; none outside of a trace, and in one that is not
    /// sampled.
    fn current(&self) -> Option<TraceContext>;

    /// Starts a span within another. `about` says what it handles, such as a SKU or the position of
    /// a record. It ends when it is dropped.
    fn span(&self, name: &'static str, about: &str, within: &TraceContext) -> Box<dyn TraceSpan>;
}

/// A span of a trace. It ends when it is dropped.
#[auto_impl(&, Box, Arc)]
pub trait TraceSpan: Send + Sync {
    /// The context of what belongs to this span.
    fn context(&self) -> TraceContext;
}

/// The process has a tracer already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the process has a tracer already; install one at the start")]
pub struct TracerExists;

/// Makes a tracer that of the process.
///
/// # Errors
/// [`TracerExists`].
pub fn install(tracer: impl Tracer + 'static) -> Result<(), TracerExists> {
    TRACER.set(Box::new(tracer)).map_err(|_| TracerExists)
}

/// The context of the code that calls this, which a store keeps with a change. None without a
/// tracer, outside of a trace, and in one that is not sampled.
#[must_use]
pub fn current() -> Option<TraceContext> {
    TRACER.get()?.current()
}

/// Starts a span within another; none without a tracer.
#[must_use]
pub fn span(
    name: &'static str,
    about: &dyn fmt::Display,
    within: &TraceContext,
) -> Option<Box<dyn TraceSpan>> {
    let tracer = TRACER.get()?;
    Some(tracer.span(name, &about.to_string(), within))
}

/// Spans for the records that belong to a trace; none without a tracer.
pub(crate) fn spans(name: &'static str, records: &[Record]) -> Vec<Box<dyn TraceSpan>> {
    if TRACER.get().is_none() {
        return Vec::new();
    }
    records
        .iter()
        .filter_map(|record| span(name, &record.position, &TraceContext::of(record)?))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn the_parts_of_a_context() {
        let context: TraceContext = GOOD.parse().unwrap();
        assert_eq!(context.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(context.span_id(), "00f067aa0ba902b7");
        assert!(context.is_sampled());
        let unsampled = GOOD.replace("-01", "-02");
        assert!(!unsampled.parse::<TraceContext>().unwrap().is_sampled());
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "é",
            &GOOD[1..],
            &GOOD.to_uppercase(),
            &GOOD.replace("00-", "01-"),
            &GOOD.replace("-01", "-1"),
            &format!("{GOOD}-more"),
            &format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            &format!("00-4bf92f3577b34da6a3ce929d0e0e4736-{}-01", "0".repeat(16)),
        ] {
            let error = text.parse::<TraceContext>().unwrap_err().to_string();
            assert!(error.contains("00-TRACE-SPAN-FLAGS"), "{error}");
        }
    }
}
