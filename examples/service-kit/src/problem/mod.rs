//! Refusals as `application/problem+json` (RFC 9457).

#[cfg(feature = "catalog")]
mod catalog;
#[cfg(feature = "inventory")]
mod inventory;
mod schema;
#[cfg(feature = "search")]
mod search;
mod types;

use std::error::Error as StdError;
use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};
use stockade_change_feed::{FeedError, Retry};

#[cfg(feature = "catalog")]
pub use self::catalog::product_json;
pub use self::schema::ProblemBody;
pub use self::types::ProblemType;

/// How soon a client may repeat a request after a conflict with a concurrent transaction.
const SOON: Duration = Duration::from_secs(1);

/// A problem document, which a handler returns in place of its result.
///
/// The body has `type`, `title`, `status` and `detail`. Most problems also have `field`, the name
/// of the field, parameter or header that is wrong; other members depend on the type.
///
/// ```
/// use service_kit::{Problem, ProblemType};
///
/// let problem = Problem::new(ProblemType::NOT_FOUND, "no order has the id 17").with("field", "id");
/// assert_eq!(problem.status(), 404);
/// ```
#[derive(Clone, Debug)]
pub struct Problem {
    kind: ProblemType,
    detail: String,
    members: Map<String, Value>,
    retry_after: Option<Duration>,
}

impl Problem {
    /// A problem of a type. `detail` says what was wrong, with which value, and what the client can
    /// do.
    pub fn new(kind: ProblemType, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            members: Map::new(),
            retry_after: None,
        }
    }

    /// Status 400: a value is not allowed. `field` is the name of the field, parameter or header.
    pub fn invalid(field: impl Into<String>, reason: impl Into<String>) -> Self {
        let (field, reason) = (field.into(), reason.into());
        let detail = format!("{field} is invalid: {reason}");
        Self::new(ProblemType::INVALID_VALUE, detail).with("field", field)
    }

    /// Status 404.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(ProblemType::NOT_FOUND, detail)
    }

    /// Status 503: the same request may succeed after `retry_after`.
    #[must_use]
    pub fn overloaded(retry_after: Duration) -> Self {
        let detail = "the server has too many requests at once; nothing took effect, try again";
        Self::new(ProblemType::OVERLOADED, detail).with_retry_after(retry_after)
    }

    /// The problem for an error that the client did not cause, by what the caller may do about it:
    ///
    /// | [`Retry`] | Status |
    /// |---|---|
    /// | `After` | 503 with `Retry-After` |
    /// | `RestartTransaction` | 503 with `Retry-After` |
    /// | `OutcomeUnknown` | 504 |
    /// | `Never` | 500 |
    ///
    /// The error itself is written to the log; the client does not get its text.
    pub fn of_failure(error: &(dyn StdError + 'static), retry: Retry) -> Self {
        match retry {
            Retry::After(after) => {
                tracing::warn!(error, "a backend is unavailable");
                let detail =
                    "a backend of the server is unavailable; nothing took effect, try again";
                Self::new(ProblemType::UNAVAILABLE, detail).with_retry_after(after)
            }
            Retry::RestartTransaction => {
                tracing::warn!(
                    error,
                    "a transaction was rolled back because of a concurrent one"
                );
                let detail = "conflict with a concurrent request; nothing took effect, try again";
                Self::new(ProblemType::TRANSACTION_LOST, detail).with_retry_after(SOON)
            }
            Retry::OutcomeUnknown => {
                tracing::warn!(error, "the outcome of a request is unknown");
                let detail = "it is unknown whether the request took effect; \
                    repeat it with the same id to find out";
                Self::new(ProblemType::OUTCOME_UNKNOWN, detail)
            }
            Retry::Never => {
                tracing::error!(error, "a request failed");
                Self::internal()
            }
        }
    }

    /// Status 500, for a failure whose cause is only in the log.
    pub(crate) fn internal() -> Self {
        let detail = "the server failed to handle the request; the reason is in its log";
        Self::new(ProblemType::INTERNAL, detail)
    }

    /// Adds a member. `type`, `title`, `status` and `detail` can't be replaced.
    #[must_use]
    pub fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.members.insert(member.to_owned(), value.into());
        self
    }

    /// Adds the header `Retry-After`: whole seconds, at least 1.
    #[must_use]
    pub fn with_retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.kind.status
    }

    /// The type.
    #[must_use]
    pub fn kind(&self) -> ProblemType {
        self.kind
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = self.members;
        body.insert("type".to_owned(), self.kind.uri.into());
        body.insert("title".to_owned(), self.kind.title.into());
        body.insert("status".to_owned(), self.kind.status.as_u16().into());
        body.insert("detail".to_owned(), self.detail.into());
        let mut response = (self.kind.status, Json(body)).into_response();
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

impl From<FeedError> for Problem {
    fn from(error: FeedError) -> Self {
        Self::of_failure(&error, error.retry())
    }
}
