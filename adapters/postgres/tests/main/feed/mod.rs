//! The log in Postgres, and the capture of row changes.

mod capture;
mod connections;
mod crash;
mod groups;
mod host;
mod log;
mod publications;
mod retention;
mod search;
mod slots;
mod tables;
