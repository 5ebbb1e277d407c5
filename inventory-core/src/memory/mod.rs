//! A store and reservation timers in memory. They keep every rule of the traits. Their data ends
//! with the process.

mod journals;
mod ledger;
mod store;
mod timer;

pub use store::MemoryInventory;
pub use timer::MemoryTimer;
