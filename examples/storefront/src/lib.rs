//! A shop on the stockade crates, in one process.

mod cli;
mod http;
mod import;
mod shop;
mod telemetry;

pub use cli::run;
pub use http::{Faults, service};
pub use import::{Failure, Progress, Report, import, import_generated};
pub use shop::{Cut, Health, Lag, LiveStock, Options, Shop, Watcher};

/// The examples of the project's README, which are compiled and run as tests.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
