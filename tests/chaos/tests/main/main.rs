//! The checker finds every broken promise, and Postgres keeps them all.

mod flawed;
mod flaws;
mod replies;
mod server;
mod silence;
mod trials;
