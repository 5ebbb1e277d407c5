//! The options of the command.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use secrecy::SecretString;
use stockade_change_feed::{DeadLetter, Topic};

/// Lists, replays and discards the dead letters of a topic: records that a worker could not handle.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Options {
    /// What to do with the dead letters that wait.
    #[command(subcommand)]
    pub action: Action,
    /// A TOML file with options.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The topic of the dead letters; by default that of the catalog-service.
    #[arg(long, global = true, value_name = "NAME", default_value = "catalog-availability.dead-letters", value_parser = topic)]
    pub topic: Topic,
    #[allow(
        missing_docs,
        reason = "the documentation would become the help of all options"
    )]
    #[command(flatten)]
    pub log: Log,
}

/// The log that has the topic.
#[derive(Args, Debug)]
pub struct Log {
    /// The brokers of Kafka: `HOST:PORT`; may be given several times.
    #[arg(
        long,
        global = true,
        value_name = "HOST:PORT",
        value_delimiter = ',',
        conflicts_with = "postgres"
    )]
    pub kafka: Vec<String>,
    /// Connect to Kafka by TLS, and trust the authorities that this machine trusts.
    #[arg(long, global = true)]
    pub kafka_tls: bool,
    /// The user of Kafka, by SCRAM-SHA-512.
    #[arg(long, global = true, value_name = "NAME")]
    pub kafka_user: Option<String>,
    /// The password of the user of Kafka.
    #[arg(long, global = true, value_name = "PASSWORD")]
    pub kafka_password: Option<SecretString>,
    /// The database whose log has the topic: `postgres://USER:PASSWORD@HOST:PORT/DATABASE`.
    #[arg(long, global = true, value_name = "URL")]
    pub postgres: Option<SecretString>,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub enum Action {
    /// Prints each letter as one line of JSON, and changes nothing.
    List(Chosen),
    /// Publishes the originals to their topics again. All groups that read the topic read them again.
    Replay(Chosen),
    /// Does nothing more with the letters.
    Discard {
        #[allow(
            missing_docs,
            reason = "the documentation would become the help of all options"
        )]
        #[command(flatten)]
        chosen: Chosen,
        /// Discard all letters, if neither --group nor --reason chooses some.
        #[arg(long, required_unless_present_any = ["group", "reason"])]
        all: bool,
    },
}

/// Which letters. The others wait on.
#[derive(Args, Clone, Debug, Default)]
pub struct Chosen {
    /// Only letters of the group of this name.
    #[arg(long, value_name = "NAME")]
    pub group: Option<String>,
    /// Only letters whose reason contains this.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
}

impl Chosen {
    /// Whether the letter is one of them.
    #[must_use]
    pub fn contains(&self, letter: &DeadLetter) -> bool {
        let group = self.group.as_deref();
        let reason = self.reason.as_deref().unwrap_or_default();
        group.is_none_or(|group| letter.group.as_str() == group) && letter.reason.contains(reason)
    }

    /// Whether all letters are chosen, and so are records that are no letters.
    #[must_use]
    pub fn is_all(&self) -> bool {
        self.group.is_none() && self.reason.is_none()
    }
}

fn topic(text: &str) -> Result<Topic, String> {
    Topic::new(text).map_err(|error| error.to_string())
}
