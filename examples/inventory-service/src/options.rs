//! The options of the service.

use std::fmt;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use secrecy::SecretString;
use service_kit::{KafkaSettings, RedisSettings, Settings};

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

    /// Whether a process of this role sets timers of reservations, or waits for them.
    #[must_use]
    pub fn has_timers(self) -> bool {
        self.runs(Self::Api) || self.runs(Self::Expiry)
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
    /// Checks that the servers are given which the role needs.
    ///
    /// # Errors
    /// If one is not; the error names its option.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let role = self.role;
        anyhow::ensure!(
            !role.has_timers() || self.redis.redis.is_some(),
            "the role {role} needs --redis URL, for the timers of reservations"
        );
        anyhow::ensure!(
            !role.runs(Role::Relay) || !self.kafka.brokers.kafka.is_empty(),
            "the role {role} needs --kafka HOST:PORT, to publish changes of stock"
        );
        Ok(())
    }
}
