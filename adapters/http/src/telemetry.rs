//! The names of the metrics.

/// Calls of the client, by `operation` and `outcome`.
#[cfg(feature = "client")]
pub(crate) const CALLS: &str = "stockade_http_calls_total";
/// Seconds from a call of the client to its end, by `operation`.
#[cfg(feature = "client")]
pub(crate) const CALL_SECONDS: &str = "stockade_http_call_seconds";
/// Requests that the routes answered, by `operation` and `status`.
#[cfg(feature = "routes")]
pub(crate) const ANSWERS: &str = "stockade_http_answers_total";
