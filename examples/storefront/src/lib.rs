//! A shop on the stockade crates, in one process and in memory.

mod http;
mod import;
mod shop;

pub use http::router;
pub use import::{Failure, Report, import};
pub use shop::{Health, Shop, Workers};
