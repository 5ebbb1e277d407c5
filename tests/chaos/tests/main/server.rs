//! A server for one test at a time: a machine that runs several is slow for each.

use stack::Postgres;
use tokio::sync::{Mutex, MutexGuard};

static ONE: Mutex<()> = Mutex::const_new(());

/// A server to be hurt.
pub(crate) struct Server {
    pub(crate) postgres: Postgres,
    _turn: MutexGuard<'static, ()>,
}

/// Starts one, or says that it is not installed: then only a required one fails.
pub(crate) async fn server() -> Option<Server> {
    let turn = ONE.lock().await;
    match tokio::task::block_in_place(Postgres::start) {
        Ok(postgres) => Some(Server {
            postgres,
            _turn: turn,
        }),
        Err(error) if std::env::var_os("STOCKADE_REQUIRE_POSTGRES").is_none() => {
            eprintln!("SKIPPED: {error:#}");
            None
        }
        Err(error) => panic!("{error:#}"),
    }
}
