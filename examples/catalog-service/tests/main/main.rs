//! The service as its users and operators see it: as processes over real servers, beside the
//! inventory service.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod dead_letters;
mod faults;
mod inventory;
mod options;
mod outages;
mod site;
mod story;
mod tools;
mod topic;
mod traces;
