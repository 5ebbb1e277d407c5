#![doc = include_str!("../README.md")]

#[macro_use]
mod suite;
mod harness;
pub mod inventory;

pub use harness::{
    Absent, Case, CaseFuture, DEADLINE, Harness, Outcome, Reopen, attempt, run, together,
    while_time_passes,
};
