use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use stockade_change_feed::{Feed, Offset, Publisher, Topic, TopicPartition};
use stockade_kafka::{
    GroupProtocol, KafkaClient, KafkaConfig, KafkaFeed, KafkaPublisher, TopicSettings,
};
use stockade_testkit::feed::{FeedHarness, PublisherHarness, RetentionHarness};
use stockade_testkit::{Absent, Harness, Reopen};

fn unique(prefix: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let started = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
    format!("{prefix}-{started}-{}-{count}", std::process::id())
}

pub(crate) struct Kafka<const NEWEST: bool> {
    client: KafkaClient,
    prefix: String,
}

impl<const NEWEST: bool> Kafka<NEWEST> {
    fn url() -> Result<String, Absent> {
        std::env::var("STOCKADE_KAFKA_BOOTSTRAP").map_err(|_| Absent::because("not set"))
    }
}

/// Groups of cases have the same names, so each instance has its own.
struct Prefixed(KafkaFeed, String);

#[async_trait]
impl Feed for Prefixed {
    async fn subscribe(
        &self,
        group: &stockade_change_feed::Group,
        topics: &[Topic],
        options: stockade_change_feed::SubscribeOptions,
    ) -> Result<Box<dyn stockade_change_feed::Subscription>, stockade_change_feed::FeedError> {
        let group = stockade_change_feed::Group::new(format!("{}-{group}", self.1))?;
        self.0.subscribe(&group, topics, options).await
    }

    async fn lag(
        &self,
        group: &stockade_change_feed::Group,
        topics: &[Topic],
    ) -> Result<Vec<stockade_change_feed::PartitionLag>, stockade_change_feed::FeedError> {
        let group = stockade_change_feed::Group::new(format!("{}-{group}", self.1))?;
        self.0.lag(&group, topics).await
    }
}

#[async_trait]
impl<const NEWEST: bool> Harness for Kafka<NEWEST> {
    const BACKEND: &'static str = "kafka";

    async fn open() -> Result<Self, Absent> {
        let url = Self::url()?;
        let client = KafkaClient::connect(KafkaConfig::new([url]).unwrap())
            .await
            .unwrap();
        Ok(Self {
            client,
            prefix: unique("case"),
        })
    }
}

#[async_trait]
impl<const NEWEST: bool> PublisherHarness for Kafka<NEWEST> {
    fn publisher(&self) -> Arc<dyn Publisher> {
        Arc::new(KafkaPublisher::new(self.client.clone()))
    }

    async fn create_topic(&self, partitions: u32) -> Topic {
        let topic = Topic::new(unique("topic")).unwrap();
        let settings = TopicSettings::new(partitions);
        let problems = self.client.ensure_topic(&topic, &settings).await.unwrap();
        assert_eq!(problems, []);
        topic
    }
}

impl<const NEWEST: bool> FeedHarness for Kafka<NEWEST> {
    fn feed(&self) -> Arc<dyn Feed> {
        let protocol = if NEWEST {
            GroupProtocol::Newest
        } else {
            GroupProtocol::Classic
        };
        let feed = KafkaFeed::new(self.client.clone())
            .with_protocol(protocol)
            .with_session_timeout(Duration::from_secs(6));
        Arc::new(Prefixed(feed, self.prefix.clone()))
    }
}

#[async_trait]
impl<const NEWEST: bool> Reopen for Kafka<NEWEST> {
    async fn reopen(self) -> Self {
        let client = KafkaClient::connect(KafkaConfig::new([Self::url().unwrap()]).unwrap());
        Self {
            client: client.await.unwrap(),
            prefix: self.prefix,
        }
    }
}
