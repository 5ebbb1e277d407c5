//! Postgres, from Debian's packages or wherever `initdb` is found.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use rustix::process::Signal;

use crate::daemon::Daemon;
use crate::port::Port;
use crate::programs;
use crate::server::{Kind, Left, Server};

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
/// `postgres` without password.
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

/// Where its programs are, and who runs them.
#[derive(Clone, Debug)]
struct Programs {
    folder: PathBuf,
    /// Postgres refuses to be root's.
    user: Option<&'static str>,
}

impl Postgres {
    /// Starts one on a free port.
    ///
    /// # Errors
    /// Where Postgres is not installed, with the command that mends it, or does not start, with
    /// the end of its log.
    pub fn start() -> anyhow::Result<Self> {
        Self::start_with(&[])
    }

    /// Starts one with these settings, such as `wal_level=replica`, beside its own and before them.
    ///
    /// # Errors
    /// As for [`start`](Postgres::start).
    pub fn start_with(settings: &[&str]) -> anyhow::Result<Self> {
        let programs = Programs::find()?;
        let daemon = Daemon::new("postgres", FAREWELL)?;
        programs.own(daemon.folder())?;
        // The last one of a name counts.
        let settings = SETTINGS.iter().chain(settings);
        let mut postgres = Self {
            daemon,
            port: Port::take()?,
            programs,
            settings: settings.map(|&setting| setting.to_owned()).collect(),
        };
        postgres.init()?;
        postgres.restart()?;
        Ok(postgres)
    }

    /// One for a test, or none where there is no Postgres on this machine: which is said, and is
    /// a failure where `STOCKADE_REQUIRE_POSTGRES` is set.
    ///
    /// # Panics
    /// Where it is required and does not start.
    #[must_use]
    pub fn for_test() -> Option<Self> {
        Kind::Postgres.for_test(Self::start())
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
        let port = self.port.number();
        let mut command = self.programs.command("postgres");
        command.arg("-D").arg(self.data());
        command.args(["-p", &port.to_string()]);
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        self.daemon.start(&command, || self.programs.ask(port))
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

impl Programs {
    fn find() -> anyhow::Result<Self> {
        Self::find_in(programs::path(), Path::new("/usr/lib/postgresql"))
    }

    /// In one of these folders, or where Debian keeps those of each version.
    fn find_in(mut folders: Vec<PathBuf>, debian: &Path) -> anyhow::Result<Self> {
        let root = rustix::process::geteuid().is_root();
        let versions = fs::read_dir(debian).into_iter().flatten().flatten();
        let mut versions: Vec<(u32, PathBuf)> = versions
            .filter_map(|entry| {
                let version = entry.file_name().to_str()?.parse().ok()?;
                Some((version, entry.path().join("bin")))
            })
            .collect();
        // The newest first.
        versions.sort_unstable_by(|a, b| b.cmp(a));
        folders.extend(versions.into_iter().map(|(_, folder)| folder));
        let found = folders.into_iter().find(|folder| {
            ["initdb", "postgres", "psql"]
                .iter()
                .all(|program| folder.join(program).is_file())
        });
        let Some(folder) = found else {
            return Err(programs::missing("Postgres", "postgresql"));
        };
        let user = match root {
            false => None,
            true => {
                let passwd = fs::read_to_string("/etc/passwd")?;
                let known = passwd.lines().any(|line| line.starts_with("postgres:"));
                Some(if known { "postgres" } else { "nobody" })
            }
        };
        Ok(Self { folder, user })
    }

    /// A program of Postgres.
    fn command(&self, program: &str) -> Command {
        self.command_of(&self.folder.join(program))
    }

    /// A program, run by whom Postgres lets.
    fn command_of(&self, program: &Path) -> Command {
        let mut command = match self.user {
            None => Command::new(program),
            Some(user) => {
                let mut command = Command::new("setpriv");
                command
                    .arg("--reuid")
                    .arg(user)
                    .arg("--regid")
                    .arg(group(user));
                command.args(["--clear-groups", "--"]).arg(program);
                command
            }
        };
        // The folder that this process stands in may be closed to that user.
        command.current_dir("/").env("LC_ALL", "C.UTF-8");
        command
    }

    /// Gives a folder to whom runs the server.
    fn own(&self, folder: &Path) -> anyhow::Result<()> {
        let Some(user) = self.user else { return Ok(()) };
        let mut chown = Command::new("chown");
        programs::run(chown.arg(format!("{user}:{}", group(user))).arg(folder))?;
        let mut test = self.command_of(Path::new("test"));
        programs::run(test.arg("-w").arg(folder)).with_context(|| {
            let folder = folder.display();
            format!("{user} can't reach {folder}: set TMPDIR to a folder that all may enter")
        })?;
        Ok(())
    }

    /// Whether the server on that port answers a query.
    fn ask(&self, port: u16) -> anyhow::Result<()> {
        let mut psql = self.command("psql");
        psql.args([
            "-h",
            "127.0.0.1",
            "-U",
            "postgres",
            "-d",
            "postgres",
            "-w",
            "-X",
            "-q",
        ]);
        psql.args(["-c", "select 1", "-p", &port.to_string()])
            .env("PGCONNECT_TIMEOUT", "5");
        programs::run(&mut psql).map(drop)
    }
}

fn group(user: &str) -> &str {
    if user == "nobody" { "nogroup" } else { user }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_said_in_a_line_with_the_command_that_mends_it() {
        let nowhere = Path::new("/nowhere");
        let error = Programs::find_in(vec![nowhere.to_owned()], nowhere).unwrap_err();
        let said = format!("{error:#}");
        assert!(said.contains("apt-get install"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }

    #[test]
    fn the_server_in_a_container_is_set_like_ours() {
        let compose = include_str!("../compose.yaml");
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
