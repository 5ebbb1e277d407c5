//! Stores whose process is killed.

use stockade_testkit::inventory::{crash_cases, outbox_crash_cases};
use stockade_testkit::{CrashCase, Outcome, attempt_crash};

use super::harness::Killed;

stockade_testkit::inventory_crash_conformance!(in_a_file, Killed<0>);
stockade_testkit::stock_outbox_crash_conformance!(outbox_in_a_file, Killed<0>);

/// Expects the case of that name to fail for that reason, run for the `#[test]` at this path.
fn assert_fails<const FLAW: usize>(
    cases: &[CrashCase<Killed<FLAW>>],
    name: &str,
    phrase: &str,
    test: &str,
) {
    let case = cases.iter().find(|case| case.name() == name).unwrap();
    match attempt_crash(case, test) {
        Outcome::Failed(message) if message.contains(phrase) => {}
        other => panic!("{name} should fail for {phrase:?}: {other:?}"),
    }
}

#[test]
fn answers_before_it_writes() {
    assert_fails(
        &crash_cases::<Killed<1>>(),
        "returned_effects_survive_a_kill",
        "returned before the kill, and is lost",
        concat!(module_path!(), "::answers_before_it_writes"),
    );
}

#[test]
fn marks_in_a_second_transaction() {
    assert_fails(
        &outbox_crash_cases::<Killed<2>>(),
        "changes_before_a_kill_are_unpublished",
        "is not in the outbox",
        concat!(module_path!(), "::marks_in_a_second_transaction"),
    );
}
