//! Redis, from Debian's packages or wherever `redis-server` is found.

mod cluster;
mod options;

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use crate::daemon::Daemon;
use crate::port::Port;
use crate::programs;
use crate::server::{Left, Server};
use crate::tls::Certificates;

pub use cluster::RedisCluster;
pub use options::RedisOptions;

/// Nothing of it stays on the machine, and what it has in memory need not be saved.
const FAREWELL: Signal = Signal::KILL;

/// How long it may take to end by itself.
const STOP: Duration = Duration::from_secs(10);

/// Of Debian and Ubuntu.
const PACKAGES: &str = "redis-server redis-tools";

/// A Redis of its own: notifications of expired keys, nothing evicted, and nothing saved but by
/// [`save`](Redis::save). See [`RedisOptions`] for others.
///
/// The calls block for up to some seconds: a test on a runtime with one thread makes them on
/// another.
#[derive(Debug)]
pub struct Redis {
    daemon: Daemon,
    port: Port,
    options: RedisOptions,
    certificates: Option<Certificates>,
}

impl Redis {
    /// Starts one on a free port.
    ///
    /// # Errors
    /// Where Redis is not installed, with the command that mends it, or does not start, with the
    /// end of its log.
    pub fn start() -> anyhow::Result<Self> {
        RedisOptions::new().start()
    }

    /// One for a test, or none where there is no Redis on this machine: which is said, and is a
    /// failure where `STOCKADE_REQUIRE_REDIS` is set.
    ///
    /// # Panics
    /// Where it is required and does not start.
    #[must_use]
    pub fn for_test() -> Option<Self> {
        RedisOptions::new().for_test()
    }

    /// Lays one out that has not been started, with those certificates where it is one of several.
    fn new(options: RedisOptions, certificates: Option<Certificates>) -> anyhow::Result<Self> {
        for program in ["redis-server", "redis-cli"] {
            if programs::find(program).is_none() {
                return Err(programs::missing("Redis", PACKAGES));
            }
        }
        let daemon = Daemon::new("redis", FAREWELL)?;
        let certificates = match (options.tls, certificates) {
            (true, None) => Some(Certificates::make(daemon.folder())?),
            (_, certificates) => certificates,
        };
        let port = Port::take()?;
        let config = options.config(&port, certificates.as_ref());
        fs::write(daemon.folder().join("redis.conf"), config)?;
        Ok(Self {
            daemon,
            port,
            options,
            certificates,
        })
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Where it is reached at another address, such as a proxy's: by TLS where it has it, and as
    /// the first of its users.
    #[must_use]
    pub fn url_at(&self, address: SocketAddr) -> String {
        let scheme = if self.options.tls { "rediss" } else { "redis" };
        format!("{scheme}://{}{address}", self.options.credentials())
    }

    /// What clients need for TLS, where it has it.
    #[must_use]
    pub fn certificates(&self) -> Option<&Certificates> {
        self.certificates.as_ref()
    }

    /// What `redis-cli` says to these arguments, as a user who may do everything.
    ///
    /// # Errors
    /// With what Redis says, where it refuses the command.
    pub fn cli(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let said = programs::run(&mut self.command(arguments))?;
        Ok(said.trim_end().to_owned())
    }

    /// Kills it with SIGKILL, in the midst of whatever it does.
    pub fn kill(&mut self) {
        self.daemon.kill();
    }

    /// Asks it to end, and waits until it has. It saves nothing unless it is set to.
    ///
    /// # Errors
    /// Where it goes on for more than ten seconds.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        self.daemon.stop(STOP)
    }

    /// Starts it again on the same port, after a [kill](Redis::kill) where it still runs. It has
    /// what it last [saved](Redis::save).
    ///
    /// # Errors
    /// With the end of its log, where it does not start.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.begin()?;
        self.ready()
    }

    /// As [`restart`](Redis::restart), but with nothing.
    ///
    /// # Errors
    /// As for [`restart`](Redis::restart), and where what it saved can't be removed.
    pub fn restart_empty(&mut self) -> anyhow::Result<()> {
        self.kill();
        self.forget()?;
        self.restart()
    }

    /// As [`restart`](Redis::restart), but with what is in a [dump](Redis::save) of earlier: a
    /// server that was restored from a backup.
    ///
    /// # Errors
    /// As for [`restart`](Redis::restart), and where the dump can't be put in place.
    pub fn restart_from(&mut self, dump: &[u8]) -> anyhow::Result<()> {
        self.kill();
        self.forget()?;
        fs::write(self.dump(), dump)?;
        self.restart()
    }

    /// Saves everything as it is, and returns the dump (RDB).
    ///
    /// # Errors
    /// Where it is down, or can't save.
    pub fn save(&self) -> anyhow::Result<Vec<u8>> {
        self.cli(&["SAVE"])?;
        Ok(fs::read(self.dump())?)
    }

    /// Stops it until it is [resumed](Redis::resume).
    pub fn pause(&self) {
        self.daemon.pause();
    }

    /// Lets it go on after a [pause](Redis::pause).
    pub fn resume(&self) {
        self.daemon.resume();
    }

    fn runs(&self) -> bool {
        self.daemon.runs()
    }

    fn begin(&mut self) -> anyhow::Result<()> {
        let mut command = Command::new("redis-server");
        command.arg(self.daemon.folder().join("redis.conf"));
        // Everything else is in its folder.
        command.current_dir(self.daemon.folder());
        self.daemon.begin(&command)
    }

    fn ready(&mut self) -> anyhow::Result<()> {
        // Which it refuses while it loads what it saved.
        let mut ping = self.command(&["PING"]);
        self.daemon.ready(|| programs::run(&mut ping).map(drop))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("redis-cli");
        command.args(["-e", "--raw", "-h", "127.0.0.1"]);
        command.args(["-p", &self.port.number().to_string()]);
        if let Some(certificates) = &self.certificates {
            command.arg("--tls");
            command.arg("--cacert").arg(certificates.authority());
        }
        command.args(self.options.login()).args(arguments);
        command
    }

    fn dump(&self) -> PathBuf {
        self.daemon.folder().join("dump.rdb")
    }

    /// Removes what it saved. What it knows of a cluster stays.
    fn forget(&self) -> anyhow::Result<()> {
        let appended = self.daemon.folder().join("appendonlydir");
        for removed in [fs::remove_file(self.dump()), fs::remove_dir_all(appended)] {
            match removed {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error.into());
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl Server for Redis {
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
