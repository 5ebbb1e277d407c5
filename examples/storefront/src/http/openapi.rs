//! The document of the routes, as OpenAPI has it. Each handler says what it takes and answers;
//! what goes for all of them is added here.

use serde::Serialize;
use serde_json::Value;
use utoipa::openapi::path::Operation;
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr, ResponseBuilder};
use utoipa::{OpenApi as _, ToSchema};

/// The document before any route.
pub(super) fn document() -> OpenApi {
    #[derive(utoipa::OpenApi)]
    #[openapi(
        info(
            title = "The storefront",
            description = "A shop on the stockade crates: search, products, live stock and \
                reservations.\n\nErrors are `application/problem+json` (RFC 9457). Requests that \
                change something can be repeated: by `Idempotency-Key`, by `operation_id`, or \
                because the second time finds it done.",
        ),
        components(schemas(ProblemBody)),
        tags(
            (name = "search", description = "Finding products"),
            (name = "catalogue", description = "Products and their types"),
            (name = "reservations", description = "Holding units for somebody"),
            (name = "stock", description = "Counting units"),
            (name = "operation", description = "For whoever runs the shop"),
        ),
    )]
    struct Document;
    Document::openapi()
}

/// A refusal, by RFC 9457. Which of the further members there are depends on what is wrong.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
#[allow(
    dead_code,
    reason = "only its schema is used: problems are written by a crate"
)]
struct ProblemBody {
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599, example = 409)]
    status: u16,
    /// The status in words.
    title: String,
    /// What was wrong, with which value, and what is allowed.
    detail: String,
    /// The field, parameter or header that it is about.
    #[schema(example = "lines")]
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    /// What each short line lacks.
    #[serde(skip_serializing_if = "Option::is_none")]
    shortages: Option<Vec<ShortageBody>>,
    /// The unknown SKUs.
    #[serde(skip_serializing_if = "Option::is_none")]
    skus: Option<Vec<String>>,
    /// The SKU that another product has.
    #[serde(skip_serializing_if = "Option::is_none")]
    sku: Option<String>,
    /// The state that the reservation is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<String>,
    /// Units that are promised, below which stock can't be set.
    #[serde(skip_serializing_if = "Option::is_none")]
    promised: Option<u64>,
    /// Units that are missing for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    short: Option<u64>,
    /// What does not follow the schema of the product type.
    #[serde(skip_serializing_if = "Option::is_none")]
    violations: Option<Vec<ViolationBody>>,
    /// The product as it is; null where it is not there.
    #[schema(value_type = Option<super::schemas::ProductBody>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    current: Option<Value>,
}

/// What a line lacks.
#[derive(Serialize, ToSchema)]
#[schema(as = Shortage)]
#[allow(dead_code, reason = "only its schema is used")]
struct ShortageBody {
    sku: String,
    /// The location that was asked for, if any was.
    location: Option<String>,
    requested: u64,
    /// Units that could be had.
    open: u64,
}

/// An attribute that does not follow its schema.
#[derive(Serialize, ToSchema)]
#[schema(as = Violation)]
#[allow(dead_code, reason = "only its schema is used")]
struct ViolationBody {
    field: String,
    reason: String,
}

/// Adds what any route may answer, and turns refusals into problems.
pub(super) fn complete(document: &mut OpenApi) {
    for path in document.paths.paths.values_mut() {
        let operations = [
            &mut path.get,
            &mut path.put,
            &mut path.post,
            &mut path.delete,
        ];
        for operation in operations.into_iter().flatten() {
            add_problems(operation);
        }
    }
}

fn add_problems(operation: &mut Operation) {
    let mut problems = vec![
        ("500", "Something is wrong on our side"),
        ("503", "Busy or out of reach: try again later"),
        ("504", "It took too long"),
    ];
    if operation.parameters.is_some() || operation.request_body.is_some() {
        problems.push(("400", "Not understood: `field` says what, `detail` why"));
    }
    if operation.request_body.is_some() {
        problems.push(("408", "The body took too long to arrive"));
        problems.push(("413", "The body is too large"));
        problems.push(("415", "The body is not JSON"));
    }
    let responses = &mut operation.responses.responses;
    for (status, description) in problems {
        let problem = ResponseBuilder::new().description(description).build();
        responses
            .entry(status.to_owned())
            .or_insert_with(|| RefOr::T(problem));
    }
    let refusals = responses
        .iter_mut()
        .filter(|(status, _)| status.starts_with(['4', '5']));
    for (_, response) in refusals {
        if let RefOr::T(response) = response
            && response.content.is_empty()
        {
            let schema = Ref::from_schema_name("Problem");
            let content = ContentBuilder::new().schema(Some(schema)).build();
            response
                .content
                .insert("application/problem+json".to_owned(), RefOr::T(content));
        }
    }
}
