//! The short form of each subject.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::process::Command;

use stack::Kind;

fn runs(subject: &str) {
    let needed = [Kind::Postgres, Kind::Redis, Kind::Kafka];
    if needed
        .into_iter()
        .any(|kind| kind.given_for_test().is_none())
    {
        return;
    }
    let output = Command::new(env!("CARGO_BIN_EXE_load"))
        .args(["--short", subject])
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
}

#[test]
fn buyers_get_what_they_were_promised() {
    runs("buyers");
}

#[test]
fn inventory_does_not_notice_an_open_circuit() {
    runs("pages");
}

#[test]
fn two_builds_side_by_side_lose_nothing() {
    runs("upgrade");
}
