//! Processes of this program, to be killed by another one.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use stockade_inventory_core::Inventory;
use tokio::io::AsyncReadExt as _;

use crate::customers::{Client, Customers};
use crate::history::History;
use crate::site::{self, Commits};

/// A process that is killed at the latest when this is dropped. When this process dies, it ends.
#[derive(Debug)]
pub(super) struct Victim(Child);

impl Victim {
    /// Runs the program with these arguments.
    pub(super) fn start(program: &Path, arguments: &[&str]) -> anyhow::Result<Self> {
        let child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .spawn();
        Ok(Self(child.with_context(|| {
            format!("{} can't be run", program.display())
        })?))
    }

    pub(super) fn kill(mut self) -> anyhow::Result<()> {
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }

    pub(super) fn is_running(&mut self) -> anyhow::Result<bool> {
        Ok(self.0.try_wait()?.is_none())
    }

    pub(super) fn pause(&self) -> anyhow::Result<()> {
        self.signal(Signal::STOP)
    }

    pub(super) fn resume(&self) -> anyhow::Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw);
        Ok(kill_process(pid.context("a pid")?, signal)?)
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Customers and a relay, until they are killed.
///
/// # Errors
/// Where the server can't be reached.
pub async fn customers(
    url: &str,
    schema: &str,
    seed: u64,
    history: &Path,
    log: &Path,
) -> anyhow::Result<()> {
    let store = site::store(url, schema, 16, Commits::Kept).await?;
    let inventory = Inventory::new(Arc::new(store.clone()));
    let client = Client::new(inventory, History::append(history)?);
    let _shopping = Customers::start(&client, seed, 12);
    site::relay(&store, log)?.run(orphaned()).await;
    Ok(())
}

/// A relay, until it is killed.
///
/// # Errors
/// Where the server can't be reached.
pub async fn relay(url: &str, schema: &str, log: &Path) -> anyhow::Result<()> {
    let store = site::store(url, schema, 2, Commits::Kept).await?;
    site::relay(&store, log)?.run(orphaned()).await;
    Ok(())
}

/// Until the process that started this one is gone, which held the other end of standard input.
async fn orphaned() {
    let _ = tokio::io::stdin().read_to_end(&mut Vec::new()).await;
}
