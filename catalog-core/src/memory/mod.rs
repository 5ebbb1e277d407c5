//! A catalogue and an availability cache in memory. They keep all promises of the traits except
//! durability.

mod cache;
mod catalog;

pub use cache::{MemoryAvailabilityCache, SavedCache};
pub use catalog::MemoryCatalog;
