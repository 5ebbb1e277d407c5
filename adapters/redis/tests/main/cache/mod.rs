//! Availability: the suites, and what else it does on real servers.

mod cluster;
mod faults;
mod harnesses;
mod like_memory;
mod limits;
