//! The common parts of HTTP services over the stockade crates. A service adds only its routes and
//! its workers.
//!
//! Read [`Service`] first.
//!
//! | For | See |
//! |---|---|
//! | A service, from routes to a graceful stop | [`Service`] |
//! | Reading requests | [`Body`], [`RawBody`], [`Query`], [`Segment`], [`Headers`], [`IdempotencyKey`] |
//! | Refusing requests | [`Problem`], [`ProblemType`] |
//! | Limits | [`Limits`] |
//! | Tokens for writing | [`WriteTokens`] |
//! | Background work | [`Workers`] |
//! | Whether the service can be sent requests | [`Readiness`] |
//! | Options from the command line, the environment and a file | [`Settings`], [`parse`] |
//! | Logs, metrics and traces | [`telemetry`] |
//!
//! The features `inventory`, `catalog` and `search` each convert the errors of one core to
//! problems. `inventory` also has the routes of an inventory, `inventory_routes`, and `catalog` those
//! of a catalogue, `catalog_routes`.
//!
//! The features `postgres`, `redis` and `kafka` each have the options of a server, its connection and
//! its readiness check. `testing` runs services as processes, for their tests.

mod auth;
mod backends;
#[cfg(feature = "catalog")]
mod catalog;
mod config;
mod extract;
#[cfg(feature = "inventory")]
mod inventory;
mod limits;
mod problem;
mod readiness;
mod serve;
mod service;
mod settings;
pub mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
mod workers;

use std::ffi::OsString;
use std::future::Future;
use std::process::ExitCode;

use clap::Parser;

pub use self::auth::WriteTokens;
#[cfg(feature = "kafka")]
pub use self::backends::{KafkaBrokers, KafkaLog, KafkaSettings};
#[cfg(feature = "redis")]
pub use self::backends::{RedisSettings, check_redis};
#[cfg(feature = "postgres")]
pub use self::backends::{check_postgres, connect_postgres};
#[cfg(feature = "catalog")]
pub use self::catalog::{
    CatalogProblemBody, availability_json, catalog_document, catalog_routes, product_body, skus_of,
};
pub use self::config::parse;
pub use self::extract::{Body, Headers, IdempotencyKey, Query, RawBody, Segment, from_object};
#[cfg(feature = "inventory")]
pub use self::inventory::{inventory_document, inventory_routes, rfc3339};
pub use self::limits::{Limits, nonzero_duration};
#[cfg(feature = "catalog")]
pub use self::problem::product_json;
pub use self::problem::{Problem, ProblemBody, ProblemType};
pub use self::readiness::{CheckReport, FailedWorker, Readiness, ReadinessReport, ReadinessStatus};
pub use self::serve::{serve, stop_signal};
pub use self::service::Service;
pub use self::settings::Settings;
pub use self::workers::{Outcome, Stop, Workers};

/// Runs a service with its options, as [`parse`] reads them. An error at the start is written to
/// stderr in one line.
pub async fn main<A, R>(
    name: &str,
    arguments: impl IntoIterator<Item = OsString>,
    run: impl FnOnce(A) -> R,
) -> ExitCode
where
    A: Parser,
    R: Future<Output = anyhow::Result<()>>,
{
    let outcome = match parse(name, arguments) {
        Ok(options) => run(options).await,
        Err(error) => Err(error),
    };
    let Err(error) = outcome else {
        return ExitCode::SUCCESS;
    };
    if let Some(usage) = error.downcast_ref::<clap::Error>() {
        // A closed stderr is no reason to fail otherwise.
        let _ = usage.print();
        return ExitCode::from(usage.exit_code() as u8);
    }
    let line = format!("{error:#}").replace('\n', " ");
    eprintln!("{name}: {line}");
    ExitCode::FAILURE
}

/// The example of the README, which is compiled.
#[cfg(all(doctest, feature = "inventory"))]
#[doc = include_str!("../README.md")]
struct Readme;
