//! How a suite is tested: what is broken has to fail, where it should and for that reason.

use stockade_testkit::{Case, Harness, Outcome, attempt};

/// Expects these cases of a suite to fail, the first of them with this phrase. Others may fail as
/// well: what is broken in one way is often broken in several.
pub(crate) fn assert_fails<H: Harness>(cases: &[Case<H>], expected: &[&str], phrase: &str) {
    let mut messages = Vec::new();
    for name in expected {
        let case = cases.iter().find(|case| case.name() == *name);
        let case = case.unwrap_or_else(|| panic!("there is no case {name}"));
        match attempt(case) {
            Outcome::Failed(message) => messages.push(message),
            ended => panic!("{name} does not fail: {ended:?}"),
        }
    }
    let message = messages.first().expect("at least one case fails");
    assert!(
        message.contains(phrase),
        "{phrase:?} is the reason, not {message:?}"
    );
}
