//! A shop on the stockade crates, in one process.

mod cli;
mod http;
mod import;
mod serve;
mod shop;
mod telemetry;

pub use cli::run;
pub use http::{Faults, router};
pub use import::{Failure, Progress, Report, import, import_generated};
pub use serve::serve;
pub use shop::{Cut, Health, Lag, Limits, LiveStock, Options, Shop, Watcher, Workers};
pub use telemetry::describes_metric;

/// The examples of the project's README, which are compiled and run as tests.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
