//! The two traits that an index implements: [`IndexWriter`] and [`SearchIndex`]. A process that
//! only answers queries needs no permission to write.

mod generation;
mod search;
mod writer;

pub use generation::{Generation, GenerationState};
#[cfg(feature = "mock")]
pub use search::MockSearchIndex;
pub use search::{Limitation, SearchIndex};
pub use writer::{DocumentWrite, IndexWriter, Loaded, Revision, WriteConcurrency};
