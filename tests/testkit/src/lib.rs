#![doc = include_str!("../README.md")]

#[macro_use]
mod suite;
pub mod cache;
pub mod catalog;
pub mod feed;
pub mod golden;
mod harness;
pub mod index;
pub mod inventory;
pub mod search;

pub use harness::{
    Absent, Case, CaseFuture, DEADLINE, Harness, Outcome, Reopen, attempt, attempt_on, run,
    together, while_time_passes,
};
