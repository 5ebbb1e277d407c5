//! The command `dead-letters` as a process: this binary again, with another test as its `main`.

use std::process::{Command, ExitCode};

use serde_json::Value;
use service_kit::testing::without_options;

use crate::site::Site;

/// Is set in such a process.
const RUNS: &str = "CATALOG_TEST_RUNS_DEAD_LETTERS";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "the other tests run it as a process"]
async fn as_a_process() {
    if std::env::var_os(RUNS).is_none() {
        return;
    }
    // Its other options are in the environment.
    let arguments = ["dead-letters", "list"].map(Into::into);
    let code = service_kit::main("dead-letters", arguments, ::dead_letters::run).await;
    let succeeded = format!("{code:?}") == format!("{:?}", ExitCode::SUCCESS);
    std::process::exit(if succeeded { 0 } else { 1 });
}

/// What the command lists of the dead letters of the catalogue's group.
pub(crate) fn listed(site: &Site) -> Vec<Value> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    without_options(&mut command, "dead-letters");
    let output = command
        .args(["--exact", "dead_letters::as_a_process"])
        .args(["--ignored", "--nocapture"])
        .env(RUNS, "1")
        .env("DEAD_LETTERS_KAFKA", &site.kafka)
        .env("DEAD_LETTERS_TOPIC", format!("{}.dead-letters", site.name))
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    // The test harness writes as well: the name of the test before the first letter, for one.
    let lines = String::from_utf8(output.stdout).unwrap();
    let letters = lines
        .lines()
        .filter_map(|line| line.find('{').map(|at| &line[at..]));
    letters
        .map(|letter| serde_json::from_str(letter).unwrap())
        .collect()
}
