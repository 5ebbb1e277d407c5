//! The topic of stock events, as another program writes and reads it.

use std::collections::BTreeMap;

use serde_json::Value;
use service_kit::testing::{PATIENCE, within};
use service_kit::{KafkaBrokers, KafkaLog, KafkaSettings};
use stockade_change_feed::{
    Feed as _, Group, Message, PollLimits, Published, Publisher as _, Record, SubscribeOptions,
    Topic,
};

use crate::site::{Site, now};

/// The topic, and the group of the catalogue that reads it.
pub(crate) struct StockTopic {
    log: KafkaLog,
    group: Group,
}

/// A change of stock, as it is in the topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Change {
    /// Epoch and number.
    pub(crate) version: (u64, u64),
    pub(crate) units: u64,
}

impl StockTopic {
    /// Connects, once one of the services has created the topic.
    pub(crate) async fn of(site: &Site) -> Self {
        let settings = KafkaSettings {
            brokers: KafkaBrokers {
                kafka: vec![site.kafka.clone()],
                kafka_tls: false,
                kafka_user: None,
                kafka_password: None,
            },
            kafka_topic: Topic::new(&site.name).unwrap(),
            kafka_partitions: 3,
            kafka_replicas: None,
        };
        Self {
            log: settings.open("tests").await.unwrap(),
            group: Group::new(&site.name).unwrap(),
        }
    }

    /// Publishes anything.
    pub(crate) async fn publish(&self, message: Message) -> Published {
        let publisher = self.log.publisher();
        let published = publisher.publish(self.log.topic(), vec![message]).await;
        published.unwrap().remove(0).unwrap()
    }

    /// Waits until the catalogue has finished all that is in the topic.
    pub(crate) async fn is_read(&self) {
        let feed = self.log.feed();
        within(PATIENCE * 2, "the topic is read", || async {
            let lags = feed.lag(&self.group, &[self.log.topic().clone()]).await;
            lags.unwrap().iter().all(|lag| lag.records == Some(0))
        })
        .await;
    }

    /// The changes of a SKU, in the order of its partition.
    pub(crate) async fn changes(&self, sku: &str) -> Vec<Change> {
        let records = self.records().await;
        let of_sku = records
            .iter()
            .filter(|record| record.key.as_deref() == Some(sku.as_bytes()));
        of_sku.filter_map(change).collect()
    }

    /// The partition of each SKU of which there is a record.
    pub(crate) async fn partitions(&self) -> BTreeMap<String, u32> {
        let records = self.records().await.into_iter();
        let partition = |record: Record| {
            let sku = String::from_utf8(record.key?.into()).ok()?;
            Some((sku, record.position.partition.partition))
        };
        records.filter_map(partition).collect()
    }

    /// All records that are in the topic now.
    async fn records(&self) -> Vec<Record> {
        let feed = self.log.feed();
        let group = Group::new(format!("{}-reader-{}", self.group, now())).unwrap();
        let topics = [self.log.topic().clone()];
        // A group that has read nothing is behind by all of them.
        let behind = feed.lag(&group, &topics).await.unwrap();
        let options = SubscribeOptions::default();
        let mut reader = feed.subscribe(&group, &topics, options).await.unwrap();
        let mut records: Vec<Record> = Vec::new();
        let is_behind = |records: &[Record]| {
            behind.iter().any(|lag| {
                let read = records
                    .iter()
                    .filter(|record| record.position.partition == lag.partition);
                (read.count() as u64) < lag.records.unwrap()
            })
        };
        while is_behind(&records) {
            let polled = reader.poll(&PollLimits::default()).await.unwrap();
            records.extend(polled.records);
        }
        reader.close().await.unwrap();
        records
    }
}

fn change(record: &Record) -> Option<Change> {
    let event: Value = serde_json::from_slice(record.value.as_deref()?).ok()?;
    let number = |value: &Value| value.as_u64();
    let version = &event["version"];
    Some(Change {
        version: (number(&version["epoch"])?, number(&version["number"])?),
        units: number(&event["new_stock_count"])?,
    })
}
