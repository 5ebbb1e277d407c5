#![doc = include_str!("../README.md")]

mod error;
mod generation;
mod index;
mod options;
mod schema;
mod search;
mod store;

pub use generation::{COMMITS, REBUILDS, REFRESH};
pub use index::TantivyIndex;
pub use options::TantivyOptions;
