//! The options of a front.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use secrecy::SecretString;
use service_kit::{KafkaSettings, Readiness, nonzero_duration};

/// The services that a storefront is a front of.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Services")]
pub struct Services {
    /// Be a front of two services: of this catalogue, `http://HOST:PORT`, and of
    /// --inventory-service. Needs --postgres, the database of the catalogue, and --kafka, where
    /// inventory publishes changes of stock.
    #[arg(long, value_name = "URL", requires = "inventory_service")]
    pub catalog_service: Option<String>,
    /// The inventory service: `http://HOST:PORT`.
    #[arg(long, value_name = "URL", requires = "catalog_service")]
    pub inventory_service: Option<String>,
    /// The write token of the catalogue service, which every client's request is passed on with.
    /// Without it, the client's own is passed on. Other users of the machine can read the command
    /// line: use the environment or the file instead.
    #[arg(long, value_name = "TOKEN", requires = "catalog_service")]
    pub catalog_token: Option<SecretString>,
    /// The write token of the inventory service, in the same way.
    #[arg(long, value_name = "TOKEN", requires = "inventory_service")]
    pub inventory_token: Option<SecretString>,
    /// The longest time until a service has answered a request.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = nonzero_duration)]
    pub service_timeout: Duration,
}

/// The options of a front.
#[derive(Debug)]
pub struct FrontOptions {
    /// The services.
    pub services: Services,
    /// The database of the catalogue service, which search follows.
    pub postgres: String,
    /// The log of stock events.
    pub kafka: KafkaSettings,
    /// The directory of the search index; in memory if none.
    pub search_dir: Option<PathBuf>,
    /// Reports the workers that fail.
    pub readiness: Readiness,
}

impl FrontOptions {
    /// Checks that a front has what it needs.
    pub(crate) fn new(
        services: Services,
        postgres: Option<String>,
        kafka: Option<KafkaSettings>,
        search_dir: Option<PathBuf>,
        readiness: Readiness,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            services,
            postgres: postgres.context(
                "--catalog-service needs --postgres URL, the database of the catalogue: search \
                 follows it",
            )?,
            kafka: kafka.context(
                "--inventory-service needs --kafka HOST:PORT, where inventory publishes changes of \
                 stock: search and live stock follow them",
            )?,
            search_dir,
            readiness,
        })
    }
}

/// Refuses options of a shop whose products and stock are its own.
pub(crate) fn refuse(given: &[(&str, bool)]) -> anyhow::Result<()> {
    for (option, is_given) in given {
        ensure!(
            !is_given,
            "{option} can not be used with --catalog-service, because products and stock are kept \
             by the services"
        );
    }
    Ok(())
}
