//! Logs, metrics and traces.

mod descriptions;
mod logs;
mod metrics;
mod requests;
mod traces;

pub use self::descriptions::{
    AVAILABILITY, CAPTURE, CATALOG, Description, FEED, HTTP, INVENTORY, KAFKA, Kind, REDIS, SEARCH,
    SERVICE, TANTIVY,
};
pub use self::logs::{LogFormat, start_logs, start_logs_to};
#[cfg(feature = "catalog")]
pub use self::metrics::set_circuit;
pub use self::metrics::{describe, upkeep};
pub(crate) use self::metrics::{render, start};
pub(crate) use self::requests::{measured, traced};
pub(crate) use self::traces::finish;

/// Counter of requests by `method`, `route` and `status`. The route is a template such as
/// `/stock/{sku}`, or `none`.
pub const HTTP_REQUESTS: &str = "service_http_requests_total";
/// Histogram of the time until an answer began, by `method` and `route`.
pub const HTTP_SECONDS: &str = "service_http_request_seconds";
/// Gauge of the workers that have failed.
pub const FAILED_WORKERS: &str = "service_failed_workers";
/// Gauge of the memory of the process, on Linux.
pub const RESIDENT: &str = "process_resident_memory_bytes";
/// Gauge of the most memory that the process has had, on Linux.
pub const RESIDENT_MAX: &str = "process_resident_memory_max_bytes";
