//! Postgres, from Debian's packages, from npm, or wherever `initdb` is found.

mod options;
mod packaged;
mod probe;
mod programs;

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use rustix::process::Signal;

use crate::daemon::Daemon;
use crate::port::Port;
use crate::server::{Left, Server};

pub use options::PostgresOptions;
use programs::Programs;

/// Settings of the server beside its defaults. Durability is the default: commits are flushed.
const SETTINGS: &[&str] = &[
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "wal_level=logical",
    "max_replication_slots=100",
    "max_wal_senders=100",
    // Goes with the data; what is in /dev/shm would stay.
    "dynamic_shared_memory_type=mmap",
    "max_connections=500",
    "shared_buffers=256MB",
    "max_wal_size=2GB",
    "autovacuum_naptime=15s",
];

/// An immediate shutdown: killed, it would leave a segment of shared memory behind.
const FAREWELL: Signal = Signal::QUIT;

/// A Postgres of its own: logical write-ahead log, room for 500 connections, the superuser
/// `postgres` without password. See [`PostgresOptions`] for others.
///
/// The calls block for up to some seconds: a test on a runtime with one thread makes them on
/// another.
#[derive(Debug)]
pub struct Postgres {
    daemon: Daemon,
    port: Port,
    programs: Programs,
    settings: Vec<String>,
}

impl Postgres {
    /// Starts one on a free port.
    ///
    /// # Errors
    /// Where Postgres is not installed, with the command that mends it, or does not start, with
    /// the end of its log.
    pub fn start() -> anyhow::Result<Self> {
        PostgresOptions::new().start()
    }

    /// One for a test, or none where there is no Postgres on this machine: which is said, and is
    /// a failure where `STOCKADE_REQUIRE_POSTGRES` is set.
    ///
    /// # Panics
    /// Where it is required and does not start.
    #[must_use]
    pub fn for_test() -> Option<Self> {
        PostgresOptions::new().for_test()
    }

    fn start_with(options: PostgresOptions) -> anyhow::Result<Self> {
        let programs = Programs::find(options.wanted()?)?;
        let daemon = Daemon::new("postgres", FAREWELL)?;
        programs.user().own(daemon.folder())?;
        // The last one of a name counts.
        let settings = SETTINGS.iter().map(|&setting| setting.to_owned());
        let mut postgres = Self {
            daemon,
            port: Port::take()?,
            programs,
            settings: settings.chain(options.settings).collect(),
        };
        postgres.init()?;
        postgres.restart()?;
        Ok(postgres)
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Where it is reached at another address, such as a proxy's.
    #[must_use]
    pub fn url_at(&self, address: SocketAddr) -> String {
        format!("postgres://postgres@{address}/postgres")
    }

    /// Kills it with SIGKILL, in the midst of whatever it does.
    pub fn kill(&mut self) {
        self.daemon.kill();
    }

    /// Starts it again after a [kill](Postgres::kill), on the same port, with its data kept.
    ///
    /// # Errors
    /// With the end of its log, where it does not start.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        let address = self.address();
        let mut command = self.programs.command("postgres");
        command.arg("-D").arg(self.data());
        command.args(["-p", &address.port().to_string()]);
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        self.daemon.start(&command, || probe::answers(address))
    }

    /// Stops all its processes until they are [resumed](Postgres::resume).
    pub fn pause(&self) {
        self.daemon.pause();
    }

    /// Lets it go on after a [pause](Postgres::pause).
    pub fn resume(&self) {
        self.daemon.resume();
    }

    fn data(&self) -> PathBuf {
        self.daemon.folder().join("data")
    }

    fn init(&self) -> anyhow::Result<()> {
        let mut initdb = self.programs.command("initdb");
        initdb.args(["-U", "postgres", "-A", "trust", "-E", "UTF8"]);
        // The files of a throw-away cluster need not survive the machine.
        initdb.args(["--no-instructions", "--no-sync", "-D"]);
        initdb.arg(self.data());
        self.daemon.prepare(&initdb).context("initdb")
    }
}

impl Server for Postgres {
    fn url(&self) -> String {
        self.url_at(self.address())
    }

    fn logs(&self) -> Vec<PathBuf> {
        vec![self.daemon.log()]
    }

    fn leave(self: Box<Self>) -> Left {
        Left {
            url: self.url(),
            processes: vec![self.daemon.leave()],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_in_a_container_is_set_like_ours() {
        let compose = include_str!("../../compose.yaml");
        let set: Vec<_> = compose
            .lines()
            .filter_map(|line| line.trim().strip_prefix("- -c"))
            .collect();
        assert!(!set.is_empty());
        for setting in set {
            assert!(SETTINGS.contains(&setting), "{setting}");
        }
    }
}
