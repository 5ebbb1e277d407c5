//! Errors as `application/problem+json` (RFC 9457), naming the field that was wrong.

use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use problem_details::ProblemDetails;
use serde_json::{Map, Value, json};
use stockade_catalog_core::CatalogError;
use stockade_change_feed::Retry;
use stockade_inventory_core::InventoryError;
use stockade_search_sync::SearchError;

/// What a handler answers instead of its result.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    detail: String,
    members: Map<String, Value>,
    retry_after: Option<Duration>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            members: Map::new(),
            retry_after: None,
        }
    }

    /// A value that is not allowed, by the name of its field.
    pub(crate) fn invalid(field: impl Into<String>, reason: impl Into<String>) -> Self {
        let field = field.into();
        Self::new(
            StatusCode::BAD_REQUEST,
            format!("{field}: {}", reason.into()),
        )
        .with("field", field)
    }

    pub(crate) fn not_found(what: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, what)
    }

    /// The server is overloaded: the same request may succeed later.
    pub(crate) fn busy(retry_after: Duration) -> Self {
        let mut problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy; try again later");
        problem.retry_after = Some(retry_after);
        problem
    }

    pub(crate) fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.members.insert(member.to_owned(), value.into());
        self
    }

    /// What is wrong on our side: said in the log, and to the client only that it was so.
    fn of_backend(error: &(dyn std::error::Error + 'static), retry: Retry) -> Self {
        match retry {
            Retry::After(after) => {
                tracing::warn!(error, "a backend is unavailable");
                let mut problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string());
                problem.retry_after = Some(after);
                problem
            }
            Retry::OutcomeUnknown | Retry::RestartTransaction => {
                tracing::warn!(error, "an outcome is unknown");
                let detail = "the outcome is unknown; repeat the request with the same id";
                let mut problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, detail);
                problem.retry_after = Some(Duration::from_secs(1));
                problem
            }
            Retry::Never => {
                tracing::error!(error, "a request failed");
                Self::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "something is wrong on our side",
                )
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let details = ProblemDetails::from_status_code(self.status)
            .with_detail(self.detail)
            .with_extensions(self.members);
        let mut response = details.into_response();
        if let Some(after) = self.retry_after {
            let seconds = after.as_secs_f64().ceil().max(1.0);
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds as u64));
        }
        response
    }
}

impl From<InventoryError> for Problem {
    fn from(error: InventoryError) -> Self {
        let detail = error.to_string();
        match error {
            InventoryError::Invalid { field, reason, .. } => Self::invalid(field, reason),
            InventoryError::UnknownSku { skus } => {
                let skus: Vec<_> = skus.iter().map(ToString::to_string).collect();
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
                    .with("field", "sku")
                    .with("skus", skus)
            }
            InventoryError::Insufficient { shortages } => {
                let shortages: Vec<_> = shortages
                    .iter()
                    .map(|short| {
                        json!({
                            "sku": short.sku,
                            "location": short.location,
                            "requested": short.requested,
                            "open": short.open,
                        })
                    })
                    .collect();
                Self::new(StatusCode::CONFLICT, detail)
                    .with("field", "lines")
                    .with("shortages", shortages)
            }
            InventoryError::UnknownReservation { .. } => {
                Self::not_found(detail).with("field", "id")
            }
            InventoryError::ReservationConflict { .. } => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail).with("field", "Idempotency-Key")
            }
            InventoryError::OperationConflict { .. } => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail).with("field", "operation_id")
            }
            InventoryError::WrongState { actual, .. } => Self::new(StatusCode::CONFLICT, detail)
                .with("field", "id")
                .with("state", actual.as_str()),
            InventoryError::NotOwner { .. } => {
                Self::new(StatusCode::FORBIDDEN, detail).with("field", "owner")
            }
            InventoryError::BelowPromised {
                promised, short, ..
            } => Self::new(StatusCode::CONFLICT, detail)
                .with("promised", promised)
                .with("short", short),
            InventoryError::Busy { retry_after } => Self::busy(retry_after),
            other => Self::of_backend(&other, other.retry()),
        }
    }
}

impl From<CatalogError> for Problem {
    fn from(error: CatalogError) -> Self {
        let detail = error.to_string();
        match error {
            CatalogError::Invalid { field, reason, .. } => Self::invalid(field, reason),
            CatalogError::SchemaViolated { violations, .. } => {
                let field = violations.first().map(|violation| violation.field.clone());
                let violations: Vec<_> = violations
                    .iter()
                    .map(|violation| json!({"field": violation.field, "reason": violation.reason}))
                    .collect();
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
                    .with("field", field.unwrap_or_else(|| "attributes".to_owned()))
                    .with("violations", violations)
            }
            CatalogError::UnknownProductType { .. } => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail).with("field", "product_type")
            }
            CatalogError::VersionConflict { current, .. } => {
                Self::new(StatusCode::CONFLICT, detail)
                    .with("field", "version")
                    .with(
                        "current",
                        current.map_or(Value::Null, |product| super::products::json(&product)),
                    )
            }
            CatalogError::SlugTaken { .. } => {
                Self::new(StatusCode::CONFLICT, detail).with("field", "slug")
            }
            CatalogError::SkuTaken { sku, .. } => Self::new(StatusCode::CONFLICT, detail)
                .with("field", "variants")
                .with("sku", sku.as_str()),
            CatalogError::Inventory(error) => error.into(),
            other => Self::of_backend(&other, other.retry()),
        }
    }
}

impl From<SearchError> for Problem {
    fn from(error: SearchError) -> Self {
        match error {
            SearchError::Invalid { field, reason, .. } => Self::invalid(field, reason),
            SearchError::Inventory(error) => error.into(),
            other => Self::of_backend(&other, other.retry()),
        }
    }
}
