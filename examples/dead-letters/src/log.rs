//! The log that the options choose.

use std::sync::Arc;

use service_kit::connect_postgres;
use stockade_change_feed::DeadLetterQueue;
use stockade_kafka::{KafkaFeed, KafkaPublisher};
use stockade_postgres::PostgresFeed;

use crate::options::Options;

/// The letters of the topic in the log.
pub(crate) async fn queue(options: &Options) -> anyhow::Result<DeadLetterQueue> {
    let topic = options.topic.clone();
    if let Some(postgres) = &options.postgres {
        let feed = Arc::new(PostgresFeed::new(connect_postgres(postgres).await?));
        return Ok(DeadLetterQueue::new(feed.clone(), feed, topic));
    }
    let client = options.kafka.connect("dead-letters").await?;
    let publisher = Arc::new(KafkaPublisher::new(client.clone()));
    let feed = Arc::new(KafkaFeed::new(client));
    Ok(DeadLetterQueue::new(feed, publisher, topic))
}
