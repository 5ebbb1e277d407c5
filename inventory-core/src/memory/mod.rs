//! A store and reservation timers in memory. They keep every rule of the traits; what they hold
//! ends with the process.

mod journals;
mod ledger;
mod store;
mod timer;

pub use store::MemoryInventory;
pub use timer::MemoryTimer;
