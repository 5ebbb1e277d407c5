//! What anybody would write for one partition: rskafka, and SET.

use std::time::Instant;

use anyhow::{Context as _, ensure};
use chrono::DateTime;
use fred::interfaces::{ClientLike as _, KeysInterface as _};
use rskafka::client::ClientBuilder;
use rskafka::client::partition::{Compression, UnknownTopicHandling};
use rskafka::record::Record;
use stockade_change_feed::{Clock as _, SystemClock, Topic};
use stockade_inventory_core::{Sku, StockChanged, Version};
use stockade_kafka::{KafkaClient, KafkaConfig, TopicSettings};
use stockade_redis::connect;

use super::{BATCH, Servers, UNITS};

/// Bytes of a fetch, as ours asks for of a partition, and the milliseconds that it waits.
const FETCH: i32 = 1 << 20;
const WAIT: i32 = 500;

/// Publishes an event for each SKU, reads them meanwhile, and stores each. Returns how many a
/// second.
pub(super) async fn measure(servers: &Servers, skus: &[Sku]) -> anyhow::Result<f64> {
    let topic = Topic::new("bare")?;
    let ours = KafkaClient::connect(KafkaConfig::new([&servers.kafka])?).await?;
    ours.ensure_topic(&topic, &TopicSettings::new(1)).await?;
    let client = ClientBuilder::new(vec![servers.kafka.clone()])
        .build()
        .await?;
    let partition = async || {
        let name = topic.as_str().to_owned();
        client
            .partition_client(name, 0, UnknownTopicHandling::Retry)
            .await
    };
    // Each on connections of its own, or a fetch that waits holds up what is published.
    let (publishing, reading) = (partition().await?, partition().await?);
    let redis = connect(&servers.redis).await?;
    let now = SystemClock::new().now();
    let begun = Instant::now();
    let publish = async {
        for skus in skus.chunks(BATCH) {
            let records = skus.iter().map(|sku| {
                let event = StockChanged::new(sku.clone(), UNITS, Version::new(0, 1), now);
                Record {
                    key: Some(sku.as_str().into()),
                    value: event.to_message().value.map(Into::into),
                    headers: [].into(),
                    timestamp: DateTime::UNIX_EPOCH,
                }
            });
            let none = Compression::NoCompression;
            publishing.produce(records.collect(), none).await?;
        }
        anyhow::Ok(())
    };
    let store = async {
        let (mut next, all) = (0, i64::try_from(skus.len())?);
        while next < all {
            let (records, _) = reading.fetch_records(next, 1..FETCH, WAIT).await?;
            ensure!(!records.is_empty(), "nothing after {next}");
            next += i64::try_from(records.len())?;
            let pipeline = redis.pipeline();
            for record in records {
                let key = record.record.key.context("an event without a key")?;
                let value = record.record.value.context("an event without a value")?;
                let key = format!("bare:{}", String::from_utf8(key)?);
                let value = String::from_utf8(value)?;
                pipeline
                    .set::<(), _, _>(key, value, None, None, false)
                    .await?;
            }
            pipeline.all::<()>().await?;
        }
        anyhow::Ok(())
    };
    tokio::try_join!(publish, store)?;
    let rate = skus.len() as f64 / begun.elapsed().as_secs_f64();
    redis.quit().await?;
    Ok(rate)
}
