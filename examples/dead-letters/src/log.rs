//! The log that the options choose.

use std::sync::Arc;

use anyhow::{anyhow, bail};
use secrecy::ExposeSecret as _;
use stockade_change_feed::DeadLetterQueue;
use stockade_kafka::{KafkaClient, KafkaConfig, KafkaFeed, KafkaPublisher, Sasl, Tls};
use stockade_postgres::{PostgresFeed, connect};

use crate::options::{Log, Options};

/// The letters of the topic in the log.
pub(crate) async fn queue(options: &Options) -> anyhow::Result<DeadLetterQueue> {
    let (log, topic) = (&options.log, options.topic.clone());
    if let Some(postgres) = &log.postgres {
        let pool = connect(postgres.expose_secret())
            .await
            .map_err(|error| anyhow!("{error}; start it, or correct --postgres"))?;
        let feed = Arc::new(PostgresFeed::new(pool));
        return Ok(DeadLetterQueue::new(feed.clone(), feed, topic));
    }
    if log.kafka.is_empty() {
        bail!("where are the dead letters? Give --kafka HOST:PORT or --postgres URL");
    }
    let client = kafka(log).await?;
    let publisher = Arc::new(KafkaPublisher::new(client.clone()));
    Ok(DeadLetterQueue::new(
        Arc::new(KafkaFeed::new(client)),
        publisher,
        topic,
    ))
}

async fn kafka(log: &Log) -> anyhow::Result<KafkaClient> {
    let mut config = KafkaConfig::new(&log.kafka)?.with_client_id("dead-letters");
    if log.kafka_tls {
        config = config.with_tls(Tls::system()?);
    }
    if let (Some(user), Some(password)) = (&log.kafka_user, &log.kafka_password) {
        config = config.with_sasl(Sasl::scram_sha_512(user, password.expose_secret()));
    }
    KafkaClient::connect(config)
        .await
        .map_err(|error| anyhow!("{error}; start it, or correct --kafka"))
}
