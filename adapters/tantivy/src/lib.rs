#![doc = include_str!("../README.md")]

mod columns;
mod directory;
mod error;
mod generation;
mod index;
mod limit;
mod options;
mod schema;
mod search;
mod snapshot;
mod store;
mod writing;

pub use generation::{COMMITS, REBUILDS, REFRESH, SEGMENTS};
pub use index::TantivyIndex;
pub use options::TantivyOptions;
