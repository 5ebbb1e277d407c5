//! Who may write.

use axum::Router;
use axum::routing::{get, post};
use reqwest::Method;
use secrecy::SecretString;
use service_kit::{Limits, Readiness, Service, Workers, WriteTokens};

use crate::running::{Running, answer, assert_problem};

const OLD: &str = "old-token-0123456789";
const NEW: &str = "new-token-0123456789";

fn tokens(tokens: &[&str]) -> anyhow::Result<WriteTokens> {
    let tokens: Vec<_> = tokens.iter().copied().map(SecretString::from).collect();
    WriteTokens::new(&tokens)
}

async fn service(tokens: WriteTokens) -> Running {
    let here = || async { "here" };
    let routes = Router::new().route("/", get(here).post(here).put(here).delete(here).patch(here));
    let readiness = Readiness::new();
    let service = Service::new(Limits::default(), readiness.clone());
    let list = Router::new().route("/list", post(here));
    let service = service.with_routes(routes).with_reading_routes(list);
    let service = service.with_write_tokens(tokens);
    Running::start(service, Workers::new(&readiness)).await
}

#[tokio::test]
async fn writes_need_a_token_and_reads_do_not() {
    let service = service(tokens(&[OLD, NEW]).unwrap()).await;
    for path in ["/", "/livez", "/readyz", "/metrics", "/openapi.json"] {
        assert!(service.get(path).await.status.is_success(), "{path}");
    }
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        let request = || service.request(method.clone(), "/");
        for allowed in [request().bearer_auth(OLD), request().bearer_auth(NEW)] {
            assert_eq!(answer(allowed).await.status, 200);
        }
        let longer = format!("{NEW}0");
        for refused in [
            request(),
            request().bearer_auth("unknown-token-012345"),
            request().bearer_auth(&NEW[1..]),
            request().bearer_auth(longer),
            request().bearer_auth(""),
            request().basic_auth("ada", Some(NEW)),
            request().header("Authorization", NEW),
            request().header("Authorization", b"Bearer \xff".as_slice()),
        ] {
            let refused = answer(refused).await;
            assert_problem(&refused, 401, "unauthorized");
            assert_eq!(refused.headers["www-authenticate"], "Bearer");
            assert!(!refused.text.contains("token-0"), "{refused:?}");
        }
    }
    // The path may not be found out either.
    let elsewhere = answer(service.request(Method::POST, "/nowhere")).await;
    assert_eq!(elsewhere.status, 401);
    let scheme = service.request(Method::POST, "/");
    let scheme = scheme.header("Authorization", format!("bearer {NEW}"));
    assert_eq!(answer(scheme).await.status, 200);
}

#[tokio::test]
async fn routes_that_only_read_need_no_token() {
    let service = service(tokens(&[NEW]).unwrap()).await;
    let list = |method| answer(service.request(method, "/list"));
    assert_eq!(list(Method::POST).await.status, 200);
    assert_problem(&list(Method::PUT).await, 405, "method-not-allowed");
}

#[tokio::test]
async fn without_tokens_everybody_may_write() {
    let service = service(WriteTokens::default()).await;
    assert_eq!(answer(service.request(Method::POST, "/")).await.status, 200);
}

#[test]
fn a_token_that_is_not_allowed_is_refused_and_no_token_is_printed() {
    for token in [
        "",
        "short",
        "with spaces 0123456789",
        "comma,0123456789abcd",
    ] {
        let error = format!("{:#}", tokens(&[NEW, token]).unwrap_err());
        assert!(error.contains("a write token"), "{error}");
        assert!(token.is_empty() || !error.contains(token), "{error}");
    }
    let printed = format!("{:?}", tokens(&[OLD, NEW]).unwrap());
    assert_eq!(printed, "WriteTokens(2)");
}
