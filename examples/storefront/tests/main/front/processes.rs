//! The services as processes: this binary again, with another test as its `main`.

use std::process::{Command, ExitCode};

use service_kit::testing::without_options;

/// Is set in such a process, to the service that it is.
const RUNS: &str = "STOREFRONT_TEST_RUNS";

#[tokio::test(flavor = "multi_thread")]
#[ignore = "the other tests run it as a process"]
async fn as_a_process() {
    let Ok(service) = std::env::var(RUNS) else {
        return;
    };
    // Its options are in the environment.
    let code = match service.as_str() {
        "inventory-service" => inventory_service::main([service.into()]).await,
        "catalog-service" => catalog_service::main([service.into()]).await,
        _ => panic!("there is no service {service}"),
    };
    let succeeded = format!("{code:?}") == format!("{:?}", ExitCode::SUCCESS);
    std::process::exit(if succeeded { 0 } else { 1 });
}

/// The command of a service, without options.
pub(super) fn command(service: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    without_options(&mut command, service);
    command
        .args([
            "--exact",
            "front::processes::as_a_process",
            "--ignored",
            "--nocapture",
        ])
        .env(RUNS, service);
    command
}

/// The storefront, without options.
pub(super) fn storefront() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_storefront"));
    without_options(&mut command, "storefront");
    command
}
