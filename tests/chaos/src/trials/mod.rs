//! Who is hurt, and how.

mod client;
mod process;
mod relays;
mod server;

pub use client::kill_the_client;
pub use process::{customers, relay};
pub use relays::hurt_the_relays;
pub use server::{LAST, kill_the_server, last_unit};
