//! A store of stock and reservation timers, in memory.
//!
//! They keep every rule that the traits state, but the survival of the process.

mod journals;
mod ledger;
mod store;
mod timer;

pub use store::MemoryInventory;
pub use timer::MemoryTimer;
