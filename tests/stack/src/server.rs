//! What all servers have in common.

use std::fmt;
use std::net::TcpStream;
use std::path::PathBuf;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::Postgres;

/// A server that is running. It ends when it is dropped.
pub trait Server: Send {
    /// Where it is reached.
    fn url(&self) -> String;

    /// What it has said so far; gone with it, unless it is [kept](crate::keep).
    fn log(&self) -> PathBuf;

    /// Lets it run on after this process. [`Left::end`] ends it.
    fn leave(self: Box<Self>) -> Left;
}

/// Which servers there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Postgres with a logical write-ahead log.
    Postgres,
}

impl Kind {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Postgres];

    /// The environment variable that tells tests where it is. Where it is set already, that
    /// server is used, and none is started.
    #[must_use]
    pub const fn variable(self) -> &'static str {
        match self {
            Self::Postgres => "STOCKADE_POSTGRES_URL",
        }
    }

    /// The URL of one that is there already, so that none is to be started.
    ///
    /// # Errors
    /// Where nothing answers at it.
    pub fn given(self) -> anyhow::Result<Option<String>> {
        let variable = self.variable();
        let Some(url) = std::env::var(variable).ok().filter(|url| !url.is_empty()) else {
            return Ok(None);
        };
        if let Some(address) = address(&url) {
            TcpStream::connect(&address).with_context(|| {
                format!("{variable} is set, but nothing answers at {address}: unset {variable}")
            })?;
        }
        Ok(Some(url))
    }

    /// Starts one.
    ///
    /// # Errors
    /// With what is missing on this machine and the command that mends it, or with the end of
    /// the server's log.
    pub fn start(self) -> anyhow::Result<Box<dyn Server>> {
        let server: anyhow::Result<Box<dyn Server>> = match self {
            Self::Postgres => Postgres::start().map(|server| Box::new(server) as _),
        };
        server.with_context(|| format!("{self} does not start"))
    }
}

/// Host and port of a URL that names both.
fn address(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?']).next()?;
    let (_, address) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (host, port) = address.rsplit_once(':')?;
    let port: u16 = port.parse().ok()?;
    (!host.is_empty()).then(|| format!("{host}:{port}"))
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Postgres => "postgres",
        })
    }
}

/// A server that runs on by itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Left {
    /// Where it is reached.
    pub url: String,
    /// Its process.
    pub pid: u32,
    /// When that process was started, in clock ticks since the machine was: a pid alone may be
    /// somebody else's by now.
    pub started: u64,
    /// The signal that asks it to end.
    pub farewell: i32,
    /// Its data and its log.
    pub folder: PathBuf,
}
