//! The options of the service.

use std::fmt;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use secrecy::SecretString;
use service_kit::{KafkaSettings, RedisSettings, Settings};
use stockade_change_feed::Group;

/// Keeps products in Postgres, and shows the stock of the inventory service with them: from a cache
/// in Redis that Kafka keeps up to date, and from the inventory service itself while that is stale.
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
    /// The inventory service: `http://HOST:PORT`.
    #[arg(long, value_name = "URL")]
    pub inventory: String,
    /// The database of products: `postgres://USER:PASSWORD@HOST:PORT/DATABASE`. For all roles but
    /// availability.
    #[arg(long, value_name = "URL")]
    pub postgres: Option<SecretString>,
    /// Leave the tables as they are. Otherwise the process brings them up to date at its start,
    /// which needs the rights for it.
    #[arg(long)]
    pub skip_migrations: bool,
    #[allow(
        missing_docs,
        reason = "the documentation would become the help of all options"
    )]
    #[command(flatten)]
    pub redis: RedisSettings,
    #[allow(
        missing_docs,
        reason = "the documentation would become the help of all options"
    )]
    #[command(flatten)]
    pub kafka: KafkaSettings,
    /// The consumer group in Kafka that keeps the cache up to date.
    #[arg(long, value_name = "NAME", default_value = "catalog-availability", value_parser = group)]
    pub kafka_group: Group,
    /// The age of the cache above which pages ask the inventory service instead. They use the cache
    /// again when it is younger than a third of that.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = humantime::parse_duration)]
    pub stale_after: Duration,
}

/// What a process does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// All of it.
    #[default]
    All,
    /// Answers requests.
    Api,
    /// Keeps the cache of stock up to date.
    Availability,
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
            Self::Availability => "availability",
        })
    }
}

impl Options {
    /// Checks that the servers are given which the role needs.
    ///
    /// # Errors
    /// If one is not; the error names its option.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let role = self.role;
        anyhow::ensure!(
            !role.runs(Role::Api) || self.postgres.is_some(),
            "the role {role} needs --postgres URL, for products"
        );
        anyhow::ensure!(
            self.redis.redis.is_some(),
            "the role {role} needs --redis URL, for the cache of stock"
        );
        anyhow::ensure!(
            !role.runs(Role::Availability) || !self.kafka.brokers.kafka.is_empty(),
            "the role {role} needs --kafka HOST:PORT, to follow changes of stock"
        );
        Ok(())
    }
}

fn group(text: &str) -> Result<Group, String> {
    Group::new(text).map_err(|error| error.to_string())
}
