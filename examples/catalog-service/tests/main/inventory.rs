//! The inventory service as a process: this binary again, with another test as its `main`.

use std::process::{Command, ExitCode};

use service_kit::testing::without_options;

/// Is set in such a process.
const RUNS: &str = "CATALOG_TEST_RUNS_INVENTORY";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "the other tests run it as a process"]
async fn as_a_process() {
    if std::env::var_os(RUNS).is_none() {
        return;
    }
    // Its options are in the environment.
    let code = inventory_service::main(["inventory-service".into()]).await;
    let succeeded = format!("{code:?}") == format!("{:?}", ExitCode::SUCCESS);
    std::process::exit(if succeeded { 0 } else { 1 });
}

pub(crate) fn command() -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    without_options(&mut command, "inventory-service");
    command
        .args([
            "--exact",
            "inventory::as_a_process",
            "--ignored",
            "--nocapture",
        ])
        .env(RUNS, "1");
    command
}
