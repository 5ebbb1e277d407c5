//! Servers and clients killed at random, and a checker that reads what was promised.
//!
//! [`Customers`] shop by a seed and write a [`History`]: what they asked, before they ask it, and
//! what they were answered. A trial hurts somebody meanwhile. What has no clear answer is then
//! asked again with the same id, and [`check()`] compares the history with the ledger, and the
//! ledger with what was published.

mod calls;
pub mod check;
mod customers;
mod history;
mod log;
mod site;
pub mod trials;

pub use calls::{Answer, Call, Step};
pub use check::{Findings, check};
pub use customers::{Client, Customers};
pub use history::{Entry, History};
pub use log::FileLog;
pub use site::{Commits, Report, Site};
