#![doc = include_str!("../README.md")]

mod harness;

pub use harness::{
    Absent, Case, CaseFuture, DEADLINE, Harness, Outcome, Reopen, attempt, run, together,
    while_time_passes,
};
