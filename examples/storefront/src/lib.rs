//! A shop on the stockade crates, in one process and in memory.

mod http;
mod import;
mod network;
mod shop;

pub use http::{Faults, router};
pub use import::{Failure, Report, import};
pub use network::Cut;
pub use shop::{Health, Options, Shop, Workers};

/// The examples of the project's README, which are compiled and run as tests.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
