//! A store of stock and reservation timers, in memory.
