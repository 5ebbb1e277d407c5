//! A front over HTTP: the same routes as a shop, most of them answered by services.

use axum::Router;
use axum::routing::{MethodFilter, on};
use service_kit::{Service, catalog_document, inventory_document};
use utoipa::openapi::{OpenApi, PathItem, ResponseBuilder};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{openapi, operation, page, page_routes};
use crate::front::{Front, Remote, forward};
use crate::telemetry;

const BAD_GATEWAY: &str =
    "The service behind the route answered wrongly, or refused the front's token";

/// Adds the routes of a front to a service, and its page.
pub fn front_service(service: Service, front: &Front) -> Service {
    telemetry::describe_front();
    let health = OpenApiRouter::new().routes(routes!(operation::health));
    let pages = &front.pages;
    service
        .with_document(openapi::document())
        .with_routes(page_routes().with_state(pages.clone()))
        .with_routes(passed_on(catalog_document(), &front.catalog))
        .with_routes(passed_on(inventory_document(), &front.inventory))
        .with_routes(page::routes(None).with_state(pages.clone()))
        .with_unlimited_routes(health.with_state(pages.clone()))
}

/// The routes of a document, which are passed on to a service.
fn passed_on(mut document: OpenApi, to: &Remote) -> OpenApiRouter {
    let mut routes = Router::new();
    for (path, item) in &mut document.paths.paths {
        for method in methods(item) {
            routes = routes.route(path, on(method, forward));
        }
        let operations = [
            &mut item.get,
            &mut item.put,
            &mut item.post,
            &mut item.delete,
        ];
        for operation in operations.into_iter().flatten() {
            let answer = ResponseBuilder::new().description(BAD_GATEWAY).build();
            let responses = &mut operation.responses.responses;
            responses.insert("502".to_owned(), answer.into());
        }
    }
    OpenApiRouter::with_openapi(document).merge(routes.with_state(to.clone()).into())
}

fn methods(item: &PathItem) -> impl Iterator<Item = MethodFilter> {
    let all = [
        (item.get.is_some(), MethodFilter::GET),
        (item.put.is_some(), MethodFilter::PUT),
        (item.post.is_some(), MethodFilter::POST),
        (item.delete.is_some(), MethodFilter::DELETE),
    ];
    let used = all.into_iter().filter(|(is_used, _)| *is_used);
    used.map(|(_, method)| method)
}
