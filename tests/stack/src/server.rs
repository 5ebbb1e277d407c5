//! What all servers have in common.

use std::fmt;
use std::net::TcpStream;
use std::path::PathBuf;

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::{Kafka, KafkaCluster, Postgres, Redis, RedisCluster};

/// A server that is running. It ends when it is dropped.
pub trait Server: Send {
    /// Where it is reached.
    fn url(&self) -> String;

    /// What its processes have said so far; gone with them, unless it is [kept](crate::keep).
    fn logs(&self) -> Vec<PathBuf>;

    /// Lets it run on after this process. [`Left::end`] ends it.
    fn leave(self: Box<Self>) -> Left;
}

/// Which servers there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Postgres with a logical write-ahead log.
    Postgres,
    /// Redis by itself.
    Redis,
    /// A cluster of Redis: three primaries with a replica each.
    RedisCluster,
    /// One broker of Kafka.
    Kafka,
    /// Three brokers of Kafka.
    KafkaCluster,
}

impl Kind {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Postgres,
        Self::Redis,
        Self::RedisCluster,
        Self::Kafka,
        Self::KafkaCluster,
    ];

    /// The environment variable that tells tests where it is. Where it is set already, that
    /// server is used, and none is started.
    #[must_use]
    pub const fn variable(self) -> &'static str {
        match self {
            Self::Postgres => "STOCKADE_POSTGRES_URL",
            Self::Redis => "STOCKADE_REDIS_URL",
            Self::RedisCluster => "STOCKADE_REDIS_CLUSTER_URL",
            Self::Kafka => "STOCKADE_KAFKA_BOOTSTRAP",
            Self::KafkaCluster => "STOCKADE_KAFKA_CLUSTER_BOOTSTRAP",
        }
    }

    /// Whether its absence is a failure: `STOCKADE_REQUIRE_POSTGRES` or the like is set.
    #[must_use]
    pub fn is_required(self) -> bool {
        let variable = match self {
            Self::Postgres => "STOCKADE_REQUIRE_POSTGRES",
            Self::Redis | Self::RedisCluster => "STOCKADE_REQUIRE_REDIS",
            Self::Kafka | Self::KafkaCluster => "STOCKADE_REQUIRE_KAFKA",
        };
        std::env::var_os(variable).is_some()
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
            Self::Postgres => Postgres::start().map(boxed),
            Self::Redis => Redis::start().map(boxed),
            Self::RedisCluster => RedisCluster::start().map(boxed),
            Self::Kafka => Kafka::start().map(boxed),
            Self::KafkaCluster => KafkaCluster::start().map(boxed),
        };
        server.with_context(|| {
            let variable = self.variable();
            format!("{self} does not start, and {variable} does not tell of another")
        })
    }

    /// What was started for a test, or none where it does not start: which is said, and is a
    /// failure where it is [required](Kind::is_required).
    pub(crate) fn for_test<S>(self, started: anyhow::Result<S>) -> Option<S> {
        self.or_skip("does not start", started)
    }

    /// The URL of the one that all tests share, or none: then the test is skipped, and says so on
    /// stderr.
    ///
    /// # Panics
    /// If nothing answers at the URL, or there is none and it is [required](Kind::is_required).
    #[must_use]
    pub fn given_for_test(self) -> Option<String> {
        let given = match self.given() {
            Ok(given) => given,
            Err(error) => panic!("{error:#}"),
        };
        let variable = self.variable();
        let missing = || format!("{variable} is not set; run the tests by `cargo stack test`");
        self.or_skip("is not there", given.with_context(missing))
    }

    fn or_skip<S>(self, why: &str, server: anyhow::Result<S>) -> Option<S> {
        match server {
            Ok(server) => Some(server),
            Err(error) if !self.is_required() => {
                eprintln!("SKIPPED: {self} {why}: {error:#}");
                None
            }
            Err(error) => panic!("{self} {why}: {error:#}"),
        }
    }
}

/// Starts these, at the same time.
pub fn start_all(kinds: &[Kind]) -> Vec<(Kind, anyhow::Result<Box<dyn Server>>)> {
    std::thread::scope(|scope| {
        let starts: Vec<_> = kinds
            .iter()
            .map(|&kind| (kind, scope.spawn(move || kind.start())))
            .collect();
        let started = starts.into_iter().map(|(kind, start)| {
            let panicked = |_| Err(anyhow::anyhow!("starting {kind} panicked"));
            (kind, start.join().unwrap_or_else(panicked))
        });
        started.collect()
    })
}

fn boxed(server: impl Server + 'static) -> Box<dyn Server> {
    Box::new(server)
}

/// Host and port of a URL, or of the first of a list of them without a scheme.
fn address(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://").unwrap_or(("", url));
    let authority = rest.split(['/', '?', ',']).next()?;
    let (_, address) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (host, port) = address.rsplit_once(':')?;
    let port: u16 = port.parse().ok()?;
    (!host.is_empty()).then(|| format!("{host}:{port}"))
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Postgres => "postgres",
            Self::Redis => "redis",
            Self::RedisCluster => "redis-cluster",
            Self::Kafka => "kafka",
            Self::KafkaCluster => "kafka-cluster",
        })
    }
}

/// A server that runs on by itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Left {
    /// Where it is reached.
    pub url: String,
    /// What it consists of.
    pub processes: Vec<LeftProcess>,
}

/// A process that runs on by itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LeftProcess {
    /// Its id.
    pub pid: u32,
    /// When it was started, in clock ticks since the machine was: a pid alone may be somebody
    /// else's by now.
    pub started: u64,
    /// The signal that asks it to end.
    pub farewell: i32,
    /// Its data and its log.
    pub folder: PathBuf,
}
