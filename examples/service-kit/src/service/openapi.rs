//! The OpenAPI document: adds the answers that any route may return to those of each handler.

use utoipa::PartialSchema as _;
use utoipa::ToSchema as _;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr, ResponseBuilder};

use crate::problem::ProblemBody;

/// The name of the security scheme of write tokens.
const TOKEN: &str = "writeToken";

/// Adds the answers that any route may return, and the body of problems to answers without a body.
pub(super) fn complete(document: &mut OpenApi, writes_need_token: bool) {
    let components = document.components.get_or_insert_default();
    let problem = || (ProblemBody::name().into_owned(), ProblemBody::schema());
    let mut schemas = vec![problem()];
    ProblemBody::schemas(&mut schemas);
    for (name, schema) in schemas {
        components.schemas.entry(name).or_insert(schema);
    }
    if writes_need_token {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        components.add_security_scheme(TOKEN, scheme);
    }
    for path in document.paths.paths.values_mut() {
        let reads = [&mut path.get, &mut path.head, &mut path.options];
        for operation in reads.into_iter().flatten() {
            add_problems(operation, false);
        }
        let writes = [
            &mut path.put,
            &mut path.post,
            &mut path.patch,
            &mut path.delete,
        ];
        for operation in writes.into_iter().flatten() {
            add_problems(operation, writes_need_token);
        }
    }
}

fn add_problems(operation: &mut Operation, needs_token: bool) {
    let mut problems = vec![
        ("500", "The server failed; the reason is in its log"),
        (
            "503",
            "The server is overloaded, or a backend is unavailable: try again after `Retry-After`",
        ),
        (
            "504",
            "There was no answer in time: it is unknown whether the request took effect",
        ),
    ];
    if operation.parameters.is_some() || operation.request_body.is_some() {
        problems.push((
            "400",
            "A value is not allowed: `field` names it, `detail` says why",
        ));
    }
    if operation.request_body.is_some() {
        problems.push(("408", "The body took too long to arrive"));
        problems.push(("413", "The body is too large"));
        problems.push(("415", "The body is not JSON"));
    }
    if needs_token {
        problems.push(("401", "The request has no valid bearer token"));
        let token = SecurityRequirement::new(TOKEN, Vec::<String>::new());
        operation.security.get_or_insert_default().push(token);
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
            let schema = Ref::from_schema_name(ProblemBody::name());
            let content = ContentBuilder::new().schema(Some(schema)).build();
            response
                .content
                .insert("application/problem+json".to_owned(), RefOr::T(content));
        }
    }
}
