//! A catalogue as a service: products over HTTP, kept in Postgres, with the stock of each variant.
//!
//! Changes of stock come from the inventory service by Kafka. A worker writes them to a cache in
//! Redis, which pages read. What the cache does not have, and everything while it is stale, is asked
//! from the inventory service over HTTP.
//!
//! All of it runs in one process, or each [`Role`] in processes of its own.

mod api;
mod backends;
mod options;
mod stock;
mod telemetry;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::Context as _;
use service_kit::{Readiness, Workers, stop_signal, telemetry::start_logs};

use crate::backends::Backends;
pub use crate::options::{Options, Role};

/// Runs the service until the process is asked to stop. An error at the start is written to stderr
/// in one line.
pub async fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    service_kit::main("catalog-service", arguments, run).await
}

async fn run(options: Options) -> anyhow::Result<()> {
    start_logs("catalog-service", &options.service)?;
    telemetry::describe();
    let listener = options.service.bind().await?;
    let readiness = Readiness::new();
    let mut service = options.service.service(readiness.clone())?;
    let mut workers = Workers::new(&readiness);
    let backends = Backends::open(&options, &mut workers).await?;
    backends.check(&readiness);
    if let Some(log) = &backends.log {
        stock::follow(log, &backends, &mut workers);
    }
    if let Some(catalog) = &backends.catalog {
        let availability = stock::shown(&options, &backends, &mut workers);
        service = api::add(service, catalog.clone(), availability);
    }
    let signal = stop_signal();
    let address = listener.local_addr().context("the address to listen on")?;
    tracing::info!(role = %options.role, %address, "started");
    service.run_until(listener, workers, signal).await;
    Ok(())
}
