//! The shape of problems.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use service_kit::{Limits, Problem, ProblemType};
use stockade_change_feed::Retry;

use crate::running::{Answer, Running, assert_problem};

/// What a service answers when a handler refuses with this.
async fn answered(problem: Problem) -> Answer {
    let handler = move || async move { Err::<(), _>(problem) };
    let service = Running::new(Router::new().route("/", get(handler)), Limits::default()).await;
    service.get("/").await
}

#[tokio::test]
async fn a_problem_has_its_type_and_members() {
    let problem = Problem::new(ProblemType::NOT_FOUND, "no order has the id 17")
        .with("field", "id")
        .with("status", 200)
        .with("type", "about:blank");
    let answer = answered(problem).await;
    assert_problem(&answer, 404, "not-found");
    assert_eq!(answer.body["title"], "The resource does not exist");
    assert_eq!(answer.body["detail"], "no order has the id 17");
    assert_eq!(answer.body["field"], "id");
    assert_eq!(answer.body.as_object().unwrap().len(), 5);
}

#[tokio::test]
async fn a_value_that_is_not_allowed_is_named() {
    let answer = answered(Problem::invalid(
        "lines[0].quantity",
        "it must be at least 1",
    ))
    .await;
    assert_problem(&answer, 400, "invalid-value");
    assert_eq!(answer.body["field"], "lines[0].quantity");
    let detail = "lines[0].quantity is invalid: it must be at least 1";
    assert_eq!(answer.body["detail"], detail);
}

#[tokio::test]
async fn a_failure_has_the_status_of_what_the_caller_may_do_and_none_of_its_text() {
    for (retry, status, name, retry_after) in [
        (
            Retry::After(Duration::from_millis(2_100)),
            503,
            "unavailable",
            Some("3"),
        ),
        (
            Retry::RestartTransaction,
            503,
            "transaction-lost",
            Some("1"),
        ),
        (Retry::OutcomeUnknown, 504, "outcome-unknown", None),
        (Retry::Never, 500, "internal", None),
    ] {
        let error = std::io::Error::other("10.0.0.7 refused");
        let answer = answered(Problem::of_failure(&error, retry)).await;
        assert_problem(&answer, status, name);
        let after = answer.headers.get("retry-after");
        assert_eq!(after.map(|after| after.to_str().unwrap()), retry_after);
        assert!(!answer.text.contains("10.0.0.7"), "{answer:?}");
    }
}

#[test]
fn types_are_unique_refusals_in_plain_characters() {
    let uris: BTreeSet<_> = ProblemType::ALL.iter().map(|kind| kind.uri).collect();
    assert_eq!(uris.len(), ProblemType::ALL.len());
    for kind in ProblemType::ALL {
        let name = kind.uri.strip_prefix("urn:stockade:problem:").unwrap();
        assert!(
            name.chars()
                .all(|one| one == '-' || one.is_ascii_lowercase())
        );
        assert!(kind.status.is_client_error() || kind.status.is_server_error());
        assert!(!kind.title.ends_with('.'), "{kind:?}");
    }
}

#[test]
fn all_types_are_in_the_readme() {
    let readme = include_str!("../../README.md");
    for kind in ProblemType::ALL {
        let name = kind.uri.strip_prefix("urn:stockade:problem:").unwrap();
        let row = format!("| `{name}` | {} | {} |", kind.status.as_u16(), kind.title);
        assert!(readme.contains(&row), "README.md has no row {row}");
    }
}
