//! A catalogue and an availability cache in memory, with all that the traits promise but
//! durability.

mod catalog;

pub use catalog::MemoryCatalog;
