//! Redis.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use fred::clients::Client;
use fred::error::Error;
use fred::interfaces::{ClientLike as _, EventInterface as _};
use fred::types::config::Server;
use secrecy::{ExposeSecret as _, SecretString};
use stockade_redis::{Prefix, connect, connect_in_background};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::readiness::Readiness;
use crate::workers::Workers;

/// The pause between two log lines about connections.
const LOG_EVERY: Duration = Duration::from_secs(10);

/// The options of a service over Redis, to be flattened into the options of yours.
#[derive(Clone, Debug, clap::Args)]
pub struct RedisSettings {
    /// Redis: `redis://USER:PASSWORD@HOST:PORT`, `rediss://` with TLS, `redis-cluster://` for a
    /// cluster.
    #[arg(long, value_name = "URL")]
    pub redis: Option<SecretString>,
    /// What all keys in Redis begin with.
    #[arg(long, value_name = "TEXT", default_value = "", value_parser = prefix)]
    pub redis_prefix: Prefix,
}

impl RedisSettings {
    /// Connects, for a process that does not work without Redis.
    ///
    /// # Errors
    /// If the option `--redis` is missing, or Redis can't be reached. The error has no secret.
    pub async fn connect(&self) -> anyhow::Result<Client> {
        connect(self.url()?.expose_secret())
            .await
            .map_err(|error| anyhow!("{error}; start it, or correct --redis"))
    }

    /// Connects in the background, for a process that also works without Redis: it starts while
    /// Redis is down. A worker logs why Redis can't be reached.
    ///
    /// # Errors
    /// If the option `--redis` is missing, or is not a URL. The error has no secret.
    pub fn connect_in_background(&self, workers: &mut Workers) -> anyhow::Result<Client> {
        let client = connect_in_background(self.url()?.expose_secret())
            .map_err(|error| anyhow!("{error}; correct --redis"))?;
        let errors = client.error_rx();
        workers.spawn("log of Redis", |stop| async move {
            tokio::select! {
                () = stop => {}
                () = log(errors) => {}
            }
        });
        Ok(client)
    }

    fn url(&self) -> anyhow::Result<&SecretString> {
        self.redis.as_ref().context("--redis URL is missing")
    }
}

/// Logs errors of connections, at most one in 10 seconds.
async fn log(mut errors: Receiver<(Error, Option<Server>)>) {
    loop {
        match errors.recv().await {
            Ok((error, _)) => {
                tracing::warn!(%error, "Redis can not be reached; trying again");
                tokio::time::sleep(LOG_EVERY).await;
                errors = errors.resubscribe();
            }
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

/// Adds a check: the service is ready while Redis answers.
pub fn check_redis(readiness: &Readiness, client: &Client) {
    let client = client.clone();
    readiness.add_check("redis", move || {
        let client = client.clone();
        async move { client.ping::<()>(None).await }
    });
}

fn prefix(text: &str) -> Result<Prefix, String> {
    if text.is_empty() {
        return Ok(Prefix::default());
    }
    Prefix::new(text).map_err(|error| error.to_string())
}
