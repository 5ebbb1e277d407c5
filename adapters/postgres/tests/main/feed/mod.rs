//! The log in Postgres, and the capture of row changes.

mod capture;
mod connections;
mod host;
mod log;
mod retention;
mod search;
mod slots;
