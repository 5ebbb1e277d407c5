//! What each server is made of: a process, its folder, and who ends both.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::process::Process;
use crate::server::LeftProcess;
use crate::watchdog::Watchdog;

/// One server process, or none while it is down, with a temporary folder for its data and its
/// log. Both end when it is dropped, and where its holder is killed.
#[derive(Debug)]
pub(crate) struct Daemon {
    // Ended before its data is removed: fields are dropped in this order.
    process: Option<Process>,
    folder: TempDir,
    watchdog: Watchdog,
}

impl Daemon {
    /// A folder with that name in its own, and nothing running yet. `farewell` asks the process to
    /// end.
    pub(crate) fn new(name: &str, farewell: Signal) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix(&format!("stockade-{name}-"))
            .tempdir()?;
        let watchdog = Watchdog::new(farewell, Some(folder.path()))?;
        Ok(Self {
            process: None,
            folder,
            watchdog,
        })
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// Whether it has been started, and not been killed or stopped since.
    pub(crate) fn runs(&self) -> bool {
        self.process.is_some()
    }

    /// Runs what comes before the server, such as what lays its data out.
    pub(crate) fn prepare(&self, command: &Command) -> anyhow::Result<()> {
        let process = Process::start(command, &self.log(), &self.watchdog)?;
        let done = process.finish();
        self.watchdog.forget();
        done
    }

    /// Starts the server, and waits until it answers.
    pub(crate) fn start(
        &mut self,
        command: &Command,
        answers: impl FnMut() -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        self.begin(command)?;
        self.ready(answers)
    }

    /// Starts the server, whatever ran before.
    pub(crate) fn begin(&mut self, command: &Command) -> anyhow::Result<()> {
        self.kill();
        self.process = Some(Process::start(command, &self.log(), &self.watchdog)?);
        Ok(())
    }

    /// Waits until the server answers. It is down where it does not.
    pub(crate) fn ready(
        &mut self,
        answers: impl FnMut() -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let Some(process) = &mut self.process else {
            anyhow::bail!("it is down");
        };
        let ready = process.ready(answers);
        if ready.is_err() {
            self.kill();
        }
        ready
    }

    /// Waits until it ends by itself.
    pub(crate) fn finish(&mut self) -> anyhow::Result<()> {
        let Some(process) = self.process.take() else {
            return Ok(());
        };
        let done = process.finish();
        self.watchdog.forget();
        done
    }

    /// Kills it with SIGKILL.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill();
            self.watchdog.forget();
        }
    }

    /// Asks it to end by SIGTERM, and waits until it has.
    pub(crate) fn stop(&mut self, patience: Duration) -> anyhow::Result<()> {
        let Some(mut process) = self.process.take() else {
            return Ok(());
        };
        let stopped = process.stop(patience);
        process.kill();
        self.watchdog.forget();
        stopped
    }

    pub(crate) fn pause(&self) {
        self.process.iter().for_each(Process::pause);
    }

    pub(crate) fn resume(&self) {
        self.process.iter().for_each(Process::resume);
    }

    /// Lets it run on after this process.
    ///
    /// # Panics
    /// While it is down.
    pub(crate) fn leave(self) -> LeftProcess {
        let process = self.process.expect("what is down can not be left running");
        process.leave(self.folder.keep())
    }
}
