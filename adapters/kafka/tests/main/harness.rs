//! Topics and groups of their own for each case, on brokers that the cases share.

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use rskafka::client::partition::UnknownTopicHandling;
use rskafka::client::{Client, ClientBuilder};
use stockade_change_feed::{
    Feed, FeedError, Group, Offset, PartitionLag, Publisher, SubscribeOptions, Subscription, Topic,
    TopicPartition,
};
use stockade_kafka::{
    GroupProtocol, KafkaClient, KafkaConfig, KafkaFeed, KafkaPublisher, TopicSettings,
};
use stockade_testkit::feed::{AbsentTopicHarness, FeedHarness, PublisherHarness, RetentionHarness};
use stockade_testkit::{Absent, Harness, Reopen};

use crate::raw;

const SESSION: Duration = Duration::from_secs(6);

/// The brokers that cases share.
pub(crate) fn bootstrap() -> Result<String, Absent> {
    given("STOCKADE_KAFKA_BOOTSTRAP")
}

fn given(variable: &str) -> Result<String, Absent> {
    let missing = format!("{variable} is not set; run the tests by `cargo stack test`");
    std::env::var(variable).map_err(|_| Absent::because(missing))
}

/// A name that no other case has, of this run or another.
pub(crate) fn unique(prefix: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let started = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis();
    format!("{prefix}-{started}-{}-{count}", std::process::id())
}

pub(crate) fn config(bootstrap: &str) -> KafkaConfig {
    KafkaConfig::new(bootstrap.split(',')).unwrap()
}

pub(crate) async fn client(bootstrap: &str) -> KafkaClient {
    KafkaClient::connect(config(bootstrap)).await.unwrap()
}

/// A topic that is not there, of that many partitions.
pub(crate) async fn create(client: &KafkaClient, settings: &TopicSettings) -> Topic {
    let topic = Topic::new(unique("topic")).unwrap();
    let problems = client.ensure_topic(&topic, settings).await.unwrap();
    assert_eq!(problems, []);
    topic
}

/// The second client.
pub(crate) async fn rskafka(bootstrap: &str) -> Client {
    let brokers = bootstrap.split(',').map(str::to_owned).collect();
    ClientBuilder::new(brokers).build().await.unwrap()
}

/// Where an instance is, and how its members take part in groups.
pub(crate) trait Way: Send + Sync + 'static {
    const VARIABLE: &'static str;
    const PROTOCOL: GroupProtocol;
    const BROKERS: u8;
}

macro_rules! ways {
    ($($name:ident: $variable:literal, $protocol:ident, $brokers:literal;)*) => {
        $(pub(crate) struct $name;

        impl Way for $name {
            const VARIABLE: &'static str = $variable;
            const PROTOCOL: GroupProtocol = GroupProtocol::$protocol;
            const BROKERS: u8 = $brokers;
        })*
    };
}

ways! {
    Newest: "STOCKADE_KAFKA_BOOTSTRAP", Newest, 1;
    Classic: "STOCKADE_KAFKA_BOOTSTRAP", Classic, 1;
    NewestOnThree: "STOCKADE_KAFKA_CLUSTER_BOOTSTRAP", Newest, 3;
    ClassicOnThree: "STOCKADE_KAFKA_CLUSTER_BOOTSTRAP", Classic, 3;
}

/// An instance: the cases' groups have the same names, and so a prefix of its own.
pub(crate) struct OnKafka<W> {
    bootstrap: String,
    client: KafkaClient,
    prefix: String,
    way: PhantomData<W>,
}

#[async_trait]
impl<W: Way> Harness for OnKafka<W> {
    const BACKEND: &'static str = "kafka";

    async fn open() -> Result<Self, Absent> {
        let bootstrap = given(W::VARIABLE)?;
        Ok(Self {
            client: client(&bootstrap).await,
            bootstrap,
            prefix: unique("case"),
            way: PhantomData,
        })
    }
}

#[async_trait]
impl<W: Way> PublisherHarness for OnKafka<W> {
    fn publisher(&self) -> Arc<dyn Publisher> {
        Arc::new(KafkaPublisher::new(self.client.clone()))
    }

    async fn create_topic(&self, partitions: u32) -> Topic {
        create(&self.client, &settings::<W>(partitions)).await
    }
}

impl<W: Way> AbsentTopicHarness for OnKafka<W> {
    fn absent_topic(&self) -> Topic {
        Topic::new(unique("absent")).unwrap()
    }
}

/// Published to through rskafka.
#[cfg(feature = "rskafka")]
pub(crate) struct ThroughRskafka(OnKafka<Newest>, Arc<Client>);

#[cfg(feature = "rskafka")]
#[async_trait]
impl Harness for ThroughRskafka {
    const BACKEND: &'static str = "kafka";

    async fn open() -> Result<Self, Absent> {
        let kafka = OnKafka::open().await?;
        let client = Arc::new(rskafka(&kafka.bootstrap).await);
        Ok(Self(kafka, client))
    }
}

#[cfg(feature = "rskafka")]
#[async_trait]
impl PublisherHarness for ThroughRskafka {
    fn publisher(&self) -> Arc<dyn Publisher> {
        Arc::new(stockade_kafka::RskafkaPublisher::new(self.1.clone()))
    }

    async fn create_topic(&self, partitions: u32) -> Topic {
        self.0.create_topic(partitions).await
    }
}

#[cfg(feature = "rskafka")]
impl AbsentTopicHarness for ThroughRskafka {
    fn absent_topic(&self) -> Topic {
        self.0.absent_topic()
    }
}

fn settings<W: Way>(partitions: u32) -> TopicSettings {
    TopicSettings::new(partitions)
        .with_replicas(W::BROKERS)
        .with_min_in_sync(W::BROKERS.min(2))
}

impl<W: Way> FeedHarness for OnKafka<W> {
    fn feed(&self) -> Arc<dyn Feed> {
        let feed = KafkaFeed::new(self.client.clone())
            .with_protocol(W::PROTOCOL)
            .with_session_timeout(SESSION);
        Arc::new(Prefixed {
            feed,
            prefix: self.prefix.clone(),
        })
    }

    fn session_timeout(&self) -> Duration {
        SESSION
    }
}

#[async_trait]
impl<W: Way> Reopen for OnKafka<W> {
    async fn reopen(self) -> Self {
        let client = client(&self.bootstrap).await;
        Self { client, ..self }
    }
}

#[async_trait]
impl<W: Way> RetentionHarness for OnKafka<W> {
    /// Kafka commits offsets, and a member does not keep the times of all that it has delivered.
    const COMPARES_POSITIONS: bool = false;

    async fn trim(&self, partition: &TopicPartition, before: Offset) {
        let client = rskafka(&self.bootstrap).await;
        let number = i32::try_from(partition.partition).unwrap();
        let topic = partition.topic.as_str();
        let partition = client.partition_client(topic, number, UnknownTopicHandling::Error);
        let before = i64::try_from(before.0).unwrap();
        partition
            .await
            .unwrap()
            .delete_records(before, 5_000)
            .await
            .unwrap();
    }

    /// With what the groups have committed, which Kafka deletes with the topic: so it is where
    /// offsets are restored, or mirrored from another cluster.
    async fn recreate(&self, topic: &Topic) {
        let group = format!("{}-g", self.prefix);
        let committed = raw::committed(&self.bootstrap, &group).await;
        let controller = rskafka(&self.bootstrap).await.controller_client().unwrap();
        let partitions = KafkaPublisher::new(self.client.clone())
            .partitions(topic)
            .await
            .unwrap();
        controller
            .delete_topic(topic.as_str(), 5_000)
            .await
            .unwrap();
        let settings = settings::<W>(partitions);
        // The old one may be there for a while.
        while self.client.check_topic(topic, &settings).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.client.ensure_topic(topic, &settings).await.unwrap();
        for committed in &committed {
            let code = raw::commit(&self.bootstrap, &group, committed).await;
            assert_eq!(code, 0, "restoring {committed:?}");
        }
    }
}

/// A feed whose groups have a prefix.
struct Prefixed {
    feed: KafkaFeed,
    prefix: String,
}

impl Prefixed {
    fn name(&self, group: &Group) -> Group {
        Group::new(format!("{}-{group}", self.prefix)).unwrap()
    }
}

#[async_trait]
impl Feed for Prefixed {
    async fn subscribe(
        &self,
        group: &Group,
        topics: &[Topic],
        options: SubscribeOptions,
    ) -> Result<Box<dyn Subscription>, FeedError> {
        self.feed
            .subscribe(&self.name(group), topics, options)
            .await
    }

    async fn lag(&self, group: &Group, topics: &[Topic]) -> Result<Vec<PartitionLag>, FeedError> {
        self.feed.lag(&self.name(group), topics).await
    }
}
