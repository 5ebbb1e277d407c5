#![doc = include_str!("../README.md")]

#[macro_use]
mod suite;
pub mod cache;
pub mod catalog;
mod crash;
pub mod feed;
pub mod golden;
mod harness;
pub mod index;
pub mod inventory;
pub mod search;

pub use crash::{Answers, Crash, CrashCase, attempt_crash, run_crash};
pub use harness::{
    Absent, Case, CaseFuture, DEADLINE, Harness, Outcome, Reopen, attempt, attempt_on,
    dropped_after, run, together, while_the_clock_runs, while_time_passes,
};
