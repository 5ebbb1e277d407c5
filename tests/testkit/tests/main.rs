//! The suites, run against the implementations in memory, and against ones broken on purpose.

mod catalog;
