//! How a suite is tested: what is broken has to fail, where it should and for that reason.

use stockade_testkit::{Case, Harness, Outcome, attempt};

/// Expects exactly these cases of a suite to fail, the first of them with this phrase.
pub(crate) fn assert_fails<H: Harness>(cases: &[Case<H>], expected: &[&str], phrase: &str) {
    let failures: Vec<(&str, String)> = cases
        .iter()
        .filter_map(|case| match attempt(case) {
            Outcome::Failed(message) => Some((case.name(), message)),
            Outcome::Passed | Outcome::Skipped(_) => None,
        })
        .collect();
    let mut names: Vec<&str> = failures.iter().map(|(name, _)| *name).collect();
    let mut sorted = expected.to_vec();
    names.sort_unstable();
    sorted.sort_unstable();
    assert_eq!(names, sorted, "cases that fail: {failures:#?}");
    let main = failures.iter().find(|(name, _)| *name == expected[0]);
    let message = &main.expect("at least one case fails").1;
    assert!(
        message.contains(phrase),
        "{phrase:?} is the reason, not {message:?}"
    );
}
