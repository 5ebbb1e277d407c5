//! How a suite is tested: what is broken has to fail, where it should and for that reason.

use stockade_testkit::{Absent, Case, Harness, Outcome, attempt_on};

/// Expects these cases of a suite to fail, the first of them with this phrase. They are the cases
/// that name the flaw; others may fail as well.
pub(crate) fn assert_fails<H: Harness>(cases: &[Case<H>], expected: &[&str], phrase: &str) {
    assert_fails_on(cases, H::open, expected, phrase);
}

/// As [`assert_fails`], on the instances that `open` gives.
pub(crate) fn assert_fails_on<H, O>(
    cases: &[Case<H>],
    open: impl Fn() -> O,
    expected: &[&str],
    phrase: &str,
) where
    H: Harness,
    O: Future<Output = Result<H, Absent>> + Send + 'static,
{
    for (index, name) in expected.iter().enumerate() {
        let case = cases.iter().find(|case| case.name() == *name);
        let case = case.unwrap_or_else(|| panic!("there is no case {name}"));
        match attempt_on(case, open()) {
            Outcome::Failed(message) if index == 0 => assert!(
                message.contains(phrase),
                "{phrase:?} is the reason that {name} fails, not {message:?}"
            ),
            Outcome::Failed(_) => {}
            ended => panic!("{name} should fail, and it {ended:?}"),
        }
    }
}
