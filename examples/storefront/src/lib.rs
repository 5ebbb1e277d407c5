//! A shop on the stockade crates: in one process, or as a front of services.

mod cli;
mod front;
mod http;
mod import;
mod shop;
mod telemetry;

pub use cli::run;
pub use front::{Front, FrontOptions, Services};
pub use http::{Faults, front_service, service};
pub use import::{Failure, Progress, Report, import, import_generated};
pub use shop::{Cut, Health, Lag, LiveStock, Options, Shop, Watcher};

/// The examples of the project's README, which are compiled and run as tests.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
