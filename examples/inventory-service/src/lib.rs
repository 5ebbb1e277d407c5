//! Inventory as a service: reservations and stock over HTTP, kept in Postgres. Changes of stock
//! leave through the outbox to Kafka, and reservations expire by timers in Redis.
//!
//! All of it runs in one process, or each [`Role`] in processes of its own.

mod api;
mod backends;
mod options;
mod workers;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Context as _;
use service_kit::{Readiness, Workers, stop_signal, telemetry};

use crate::backends::Backends;
pub use crate::options::{Options, Role};

/// Runs the service until the process is asked to stop. An error at the start is written to stderr
/// in one line.
pub async fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    service_kit::main("inventory-service", arguments, run).await
}

async fn run(options: Options) -> anyhow::Result<()> {
    telemetry::start_logs("inventory-service", &options.service)?;
    for metrics in [
        telemetry::INVENTORY,
        telemetry::HTTP,
        telemetry::KAFKA,
        telemetry::REDIS,
    ] {
        telemetry::describe(metrics);
    }
    let listener = options.service.bind().await?;
    let readiness = Readiness::new();
    let service = options.service.service(readiness.clone())?;
    let mut workers = Workers::new(&readiness);
    let backends = Backends::open(&options, &mut workers).await?;
    backends.check(options.role, &readiness);
    let wake = workers::spawn(&options, &backends, &mut workers);
    let service = if options.role.runs(Role::Api) {
        api::add(service, &backends, wake)
    } else {
        service
    };
    let signal = stop_signal();
    let address = listener.local_addr().context("the address to listen on")?;
    tracing::info!(role = %options.role, %address, "started");
    service.run_until(listener, workers, signal).await;
    Ok(())
}
