//! The OpenAPI document of a service.

use axum::Json;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Value, json};
use service_kit::{Body, Limits, Problem, Readiness, Service, Workers, WriteTokens};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::running::Running;

#[derive(Deserialize, ToSchema)]
struct Greeting {
    name: String,
}

/// Greet
#[utoipa::path(post, path = "/greet", request_body = Greeting, operation_id = "greet",
    responses((status = 200, description = "A greeting"), (status = 409, description = "Not now")))]
async fn greet(Body(greeting): Body<Greeting>) -> Result<Json<String>, Problem> {
    Ok(Json(format!("Good day, {}", greeting.name)))
}

async fn document(tokens: WriteTokens) -> Value {
    let readiness = Readiness::new();
    let service = Service::new(Limits::default(), readiness.clone())
        .with_routes(OpenApiRouter::new().routes(routes!(greet)))
        .with_write_tokens(tokens);
    let service = Running::start(service, Workers::new(&readiness)).await;
    let document = service.get("/openapi.json").await.body;
    assert!(service.get("/docs/").await.text.contains("swagger-ui"));
    document
}

#[tokio::test]
async fn problems_are_added_to_every_operation() {
    let document = document(WriteTokens::default()).await;
    let responses = &document["paths"]["/greet"]["post"]["responses"];
    let problem = json!({"schema": {"$ref": "#/components/schemas/Problem"}});
    for status in ["400", "408", "409", "413", "415", "500", "503", "504"] {
        let content = &responses[status]["content"];
        assert_eq!(content["application/problem+json"], problem, "{status}");
    }
    assert_eq!(responses["409"]["description"], "Not now");
    assert!(responses["401"].is_null());
    assert!(document["components"]["securitySchemes"].is_null());
    let schemas = &document["components"]["schemas"];
    for name in ["Problem", "Shortage", "Violation", "Greeting", "Readiness"] {
        assert!(schemas[name].is_object(), "{name} is missing");
    }
    for (path, id) in [
        ("/livez", "getLiveness"),
        ("/readyz", "getReadiness"),
        ("/metrics", "getMetrics"),
    ] {
        assert_eq!(document["paths"][path]["get"]["operationId"], id);
    }
    let unready = &document["paths"]["/readyz"]["get"]["responses"]["503"]["content"];
    assert!(unready["application/json"].is_object(), "{unready}");
}

#[tokio::test]
async fn writes_that_need_a_token_say_so() {
    let token = SecretString::from("token-0123456789");
    let document = document(WriteTokens::new(&[token]).unwrap()).await;
    let greet = &document["paths"]["/greet"]["post"];
    assert!(greet["responses"]["401"].is_object());
    assert_eq!(greet["security"], json!([{"writeToken": []}]));
    let scheme = &document["components"]["securitySchemes"]["writeToken"];
    assert_eq!(scheme, &json!({"type": "http", "scheme": "bearer"}));
    assert!(document["paths"]["/readyz"]["get"]["security"].is_null());
}
