//! rskafka: its clients of a partition.

use std::sync::Arc;
use std::time::Instant;

use anyhow::ensure;
use async_trait::async_trait;
use chrono::DateTime;
use rskafka::client::partition::{Compression, PartitionClient, UnknownTopicHandling};
use rskafka::client::{Client as Rskafka, ClientBuilder};
use rskafka::record::Record;
use stockade_change_feed::Topic;

use super::{Client, PACE, Percentiles, Work, in_calls};
use crate::measure::paced;

/// Bytes of a fetch, as ours asks for of a partition.
const FETCH: i32 = 1 << 20;
/// Milliseconds that a fetch waits for a record.
const WAIT: i32 = 500;

pub(super) struct Bare(Rskafka);

impl Bare {
    pub(super) async fn connect(bootstrap: &str) -> anyhow::Result<Self> {
        let client = ClientBuilder::new(vec![bootstrap.to_owned()])
            .build()
            .await?;
        Ok(Self(client))
    }

    async fn partition(&self, topic: &Topic) -> anyhow::Result<Arc<PartitionClient>> {
        let name = topic.as_str().to_owned();
        let client = self
            .0
            .partition_client(name, 0, UnknownTopicHandling::Retry);
        Ok(Arc::new(client.await?))
    }
}

fn record(size: usize) -> Record {
    Record {
        key: None,
        value: Some(vec![b'x'; size]),
        headers: [].into(),
        timestamp: DateTime::UNIX_EPOCH,
    }
}

#[async_trait(?Send)]
impl Client for Bare {
    async fn publish(&self, topic: &Topic, work: &Work) -> anyhow::Result<f64> {
        let partition = self.partition(topic).await?;
        let call = async |records| {
            let records = vec![record(work.size); records];
            partition
                .produce(records, Compression::NoCompression)
                .await?;
            Ok(())
        };
        in_calls(work.records, &call).await?;
        in_calls(work.records, &call).await
    }

    async fn read(&self, topic: &Topic, work: &Work) -> anyhow::Result<f64> {
        let partition = self.partition(topic).await?;
        let (mut next, begun) = (0, Instant::now());
        let all = i64::try_from(2 * work.records)?;
        while next < all {
            let (records, _) = partition.fetch_records(next, 1..FETCH, WAIT).await?;
            ensure!(!records.is_empty(), "nothing after {next}");
            next += i64::try_from(records.len())?;
        }
        Ok(all as f64 / begun.elapsed().as_secs_f64())
    }

    async fn publish_paced(&self, topic: &Topic, work: &Work) -> anyhow::Result<Percentiles> {
        let partition = self.partition(topic).await?;
        let took = paced(work.paced, PACE, |_| {
            let (partition, record) = (partition.clone(), record(work.size));
            async move {
                let none = Compression::NoCompression;
                partition.produce(vec![record], none).await?;
                Ok(())
            }
        });
        Ok(took.await?.into())
    }

    async fn publish_and_read(&self, topic: &Topic, work: &Work) -> anyhow::Result<Percentiles> {
        let partition = self.partition(topic).await?;
        let mut took = Vec::new();
        for number in 0..work.single {
            let started = Instant::now();
            let none = Compression::NoCompression;
            partition.produce(vec![record(work.size)], none).await?;
            let next = i64::try_from(number)?;
            let (records, _) = partition.fetch_records(next, 1..FETCH, WAIT).await?;
            took.push(started.elapsed());
            ensure!(records.len() == 1, "{} records", records.len());
        }
        Ok(took.into())
    }
}
