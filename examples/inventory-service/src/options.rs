//! The options of the service.

use std::fmt;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Parser, ValueEnum};
use secrecy::SecretString;
use service_kit::Settings;
use stockade_change_feed::Topic;
use stockade_redis::Prefix;

/// Keeps stock and reservations in Postgres, publishes changes of stock to Kafka, and expires
/// reservations by timers in Redis.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Options {
    #[allow(
        missing_docs,
        reason = "the documentation would become the help of all options"
    )]
    #[command(flatten)]
    pub service: Settings,
    /// What this process does.
    #[arg(long, value_enum, default_value_t)]
    pub role: Role,
    /// The database of stock and reservations: `postgres://USER:PASSWORD@HOST:PORT/DATABASE`.
    #[arg(long, value_name = "URL")]
    pub postgres: SecretString,
    /// Leave the tables as they are. Otherwise the process brings them up to date at its start,
    /// which needs the rights for it.
    #[arg(long)]
    pub skip_migrations: bool,
    /// Where the timers of reservations are: `redis://USER:PASSWORD@HOST:PORT`, `rediss://` with
    /// TLS, `redis-cluster://` for a cluster. For all roles but relay and retention.
    #[arg(long, value_name = "URL")]
    pub redis: Option<SecretString>,
    /// What all keys in Redis begin with.
    #[arg(long, value_name = "TEXT", default_value = "", value_parser = prefix)]
    pub redis_prefix: Prefix,
    /// The brokers that changes of stock are published to: `HOST:PORT`; may be given several
    /// times. For the role relay.
    #[arg(long, value_name = "HOST:PORT", value_delimiter = ',')]
    pub kafka: Vec<String>,
    /// Connect to Kafka by TLS, and trust the authorities that this machine trusts.
    #[arg(long)]
    pub kafka_tls: bool,
    /// The user of Kafka, by SCRAM-SHA-512.
    #[arg(long, value_name = "NAME", requires = "kafka_password")]
    pub kafka_user: Option<String>,
    /// The password of the user of Kafka.
    #[arg(long, value_name = "PASSWORD", requires = "kafka_user")]
    pub kafka_password: Option<SecretString>,
    /// The topic of changes of stock. It is created if it does not exist.
    #[arg(long, value_name = "NAME", default_value = "inventory_updates", value_parser = topic)]
    pub kafka_topic: Topic,
    /// The partitions of a topic that is created.
    #[arg(long, value_name = "COUNT", default_value_t = 12)]
    pub kafka_partitions: u32,
    /// The replicas of a topic that is created; by default as many as the brokers are set to. With
    /// 3 or more, 2 must be in sync.
    #[arg(long, value_name = "COUNT")]
    pub kafka_replicas: Option<u8>,
    /// How long finished reservations are kept.
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = humantime::parse_duration)]
    pub keep_reservations: Duration,
    /// How long movements of stock are kept.
    #[arg(long, value_name = "TIME", default_value = "90d", value_parser = humantime::parse_duration)]
    pub keep_movements: Duration,
}

/// What a process does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// All of it.
    #[default]
    All,
    /// Answers requests.
    Api,
    /// Publishes changes of stock to Kafka.
    Relay,
    /// Expires reservations.
    Expiry,
    /// Deletes old reservations and movements.
    Retention,
}

impl Role {
    /// Whether a process of this role does the work of the other.
    #[must_use]
    pub fn runs(self, other: Self) -> bool {
        self == Self::All || self == other
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::All => "all",
            Self::Api => "api",
            Self::Relay => "relay",
            Self::Expiry => "expiry",
            Self::Retention => "retention",
        })
    }
}

impl Options {
    /// The URL of Redis, if the role needs it.
    ///
    /// # Errors
    /// If it is needed and not given.
    pub(crate) fn redis(&self) -> anyhow::Result<Option<&SecretString>> {
        let role = self.role;
        if !role.runs(Role::Api) && !role.runs(Role::Expiry) {
            return Ok(None);
        }
        let missing =
            || format!("the role {role} needs --redis URL, for the timers of reservations");
        self.redis.as_ref().map(Some).with_context(missing)
    }

    /// The brokers of Kafka, if the role needs them.
    ///
    /// # Errors
    /// If they are needed and not given.
    pub(crate) fn kafka(&self) -> anyhow::Result<Option<&[String]>> {
        let role = self.role;
        if !role.runs(Role::Relay) {
            return Ok(None);
        }
        anyhow::ensure!(
            !self.kafka.is_empty(),
            "the role {role} needs --kafka HOST:PORT, to publish changes of stock"
        );
        Ok(Some(&self.kafka))
    }
}

fn prefix(text: &str) -> Result<Prefix, String> {
    if text.is_empty() {
        return Ok(Prefix::default());
    }
    Prefix::new(text).map_err(|error| error.to_string())
}

fn topic(text: &str) -> Result<Topic, String> {
    Topic::new(text).map_err(|error| error.to_string())
}
