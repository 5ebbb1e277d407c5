//! Records that could not be handled, kept in a topic of their own.

mod letter;
mod queue;
mod store;

pub use letter::DeadLetter;
pub use queue::{DeadLetterQueue, Decision, Settled, Waiting};
pub use store::DeadLetters;
