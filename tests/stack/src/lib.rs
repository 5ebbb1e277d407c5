//! Real servers for tests, trials and benchmarks.
//!
//! A server is started on a free port with its data in a temporary folder, and is ready when it
//! has answered a request. It ends with its handle, and also when the process that holds the
//! handle is killed. Tests can hurt it on purpose: kill and restart it with its data kept, pause
//! it, or put a [`Proxy`] before it that cuts and slows connections and loses replies.
//!
//! Each server is one file, and implements [`Server`].

mod postgres;
mod process;
mod proxy;
mod server;
mod watchdog;

pub use postgres::Postgres;
pub use process::{Process, keep, notes};
pub use proxy::Proxy;
pub use server::{Kind, Left, Server};
pub use watchdog::Watchdog;
