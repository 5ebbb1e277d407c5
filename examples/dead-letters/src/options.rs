//! The options of the command.

use std::path::PathBuf;

use clap::{Args, Parser, ValueEnum};
use secrecy::SecretString;
use service_kit::KafkaBrokers;
use stockade_change_feed::{DeadLetter, Topic};

/// Lists, replays and discards the dead letters of a topic: records that a worker could not handle.
#[derive(Debug, Parser)]
#[command(version, about)]
pub struct Options {
    /// What to do with the dead letters that wait.
    #[arg(value_enum)]
    pub action: Action,
    #[allow(
        missing_docs,
        reason = "the documentation would become the help of all options"
    )]
    #[command(flatten)]
    pub chosen: Chosen,
    /// Discard all letters, if neither --group nor --reason chooses some.
    #[arg(long)]
    pub all: bool,
    /// The topic of the dead letters; by default that of the catalog-service.
    #[arg(long, value_name = "NAME", default_value = "catalog-availability.dead-letters", value_parser = topic)]
    pub topic: Topic,
    #[allow(
        missing_docs,
        reason = "the documentation would become the help of all options"
    )]
    #[command(flatten)]
    pub kafka: KafkaBrokers,
    /// The database whose log has the topic, instead of Kafka:
    /// `postgres://USER:PASSWORD@HOST:PORT/DATABASE`.
    #[arg(long, value_name = "URL", conflicts_with = "kafka")]
    pub postgres: Option<SecretString>,
    /// A TOML file with options.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Action {
    /// Print each letter as one line of JSON, and change nothing.
    List,
    /// Publish the originals to their topics again. All groups that read the topic read them again.
    Replay,
    /// Do nothing more with the letters.
    Discard,
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

impl Options {
    /// Checks what the command line can not.
    ///
    /// # Errors
    /// When it is not said which letters to discard, and when no log is given.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.action != Action::Discard || self.all || !self.chosen.is_all(),
            "discard needs --group NAME, --reason TEXT or --all"
        );
        anyhow::ensure!(
            self.action == Action::Discard || !self.all,
            "only discard takes --all"
        );
        anyhow::ensure!(
            self.postgres.is_some() || !self.kafka.kafka.is_empty(),
            "where are the dead letters? Give --kafka HOST:PORT or --postgres URL"
        );
        Ok(())
    }
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
