//! A catalogue and an availability cache in memory, with all that the traits promise but
//! durability.

mod cache;
mod catalog;

pub use cache::{MemoryAvailabilityCache, SavedCache};
pub use catalog::MemoryCatalog;
