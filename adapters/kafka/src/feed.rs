//! Groups of readers over Kafka's own groups.

use std::time::Duration;

use async_trait::async_trait;
use stockade_change_feed::{
    Feed, FeedError, Group, PartitionLag, SubscribeOptions, Subscription, Topic,
};

use crate::cluster::{KafkaClient, Topics};
use crate::error::Effect;
use crate::group::{GroupProtocol, Member, Timing};
use crate::subscription::{KafkaSubscription, Settings};

/// Lets groups follow topics as members of Kafka's own groups, beside Java's consumers where there
/// are any.
///
/// ```no_run
/// use stockade_change_feed::{Feed, Group, PollLimits, SubscribeOptions, Topic};
/// use stockade_kafka::{KafkaClient, KafkaConfig, KafkaFeed};
///
/// # async fn run() -> Result<(), stockade_change_feed::FeedError> {
/// let client = KafkaClient::connect(KafkaConfig::new(["kafka:9092"])?).await?;
/// let feed = KafkaFeed::new(client);
/// let (group, topic) = (Group::new("search")?, Topic::new("catalog_changes")?);
/// let mut member = feed.subscribe(&group, &[topic], SubscribeOptions::default()).await?;
/// let polled = member.poll(&PollLimits::default()).await?;
/// println!("{} records", polled.records.len());
/// # Ok(())
/// # }
/// ```
///
/// Kafka commits offsets, not records. When a topic was deleted and created again, and a member reads
/// the new one (reported in [`Polled::resets`](stockade_change_feed::Polled::resets)), do not commit
/// positions that it read before: they would count in the new topic.
#[derive(Clone, Debug)]
pub struct KafkaFeed {
    pub(crate) client: KafkaClient,
    timing: Timing,
    protocol: GroupProtocol,
    settings: Settings,
}

impl KafkaFeed {
    /// A feed with the defaults that its options state.
    #[must_use]
    pub fn new(client: KafkaClient) -> Self {
        Self {
            client,
            timing: Timing {
                session: Duration::from_secs(30),
                rebalance: Duration::from_secs(60),
            },
            protocol: GroupProtocol::default(),
            settings: Settings {
                buffer_bytes: 16 << 20,
                partition_bytes: 1 << 20,
                patience: Duration::from_secs(30),
            },
        }
    }

    /// With another time after which a member that does not poll loses its partitions (30 s).
    ///
    /// In a group of Kafka 4 the broker's `group.consumer.session.timeout.ms` says when others
    /// take over (45 s by default), and this one when the member itself stops delivering records
    /// without an answer of its group.
    #[must_use]
    pub fn with_session_timeout(mut self, timeout: Duration) -> Self {
        self.timing.session = timeout;
        self
    }

    /// With another time that members have to let go of partitions which others are to read
    /// (60 s). It must be longer than the caller ever takes between two polls.
    #[must_use]
    pub fn with_rebalance_timeout(mut self, timeout: Duration) -> Self {
        self.timing.rebalance = timeout;
        self
    }

    /// With another way to take part in groups ([`GroupProtocol::Newest`]).
    #[must_use]
    pub fn with_protocol(mut self, protocol: GroupProtocol) -> Self {
        self.protocol = protocol;
        self
    }

    /// With another limit for what a member reads ahead (16 MiB), past the first batch of each
    /// partition.
    #[must_use]
    pub fn with_read_ahead(mut self, bytes: usize) -> Self {
        self.settings.buffer_bytes = bytes.max(1);
        self
    }

    /// With another time for which trouble that may pass, such as an election or a broker that
    /// restarts, is waited out before a poll or a commit fails (30 s).
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.settings.patience = patience;
        self
    }

    /// The topics, all of which must exist.
    pub(crate) async fn existing(
        &self,
        operation: &'static str,
        topics: &[Topic],
    ) -> Result<Topics, FeedError> {
        let limit = self.client.config().request_timeout;
        let found = self
            .client
            .persist(limit, || self.client.topics(topics))
            .await;
        let found = found.map_err(|error| error.during(operation, Effect::None))?;
        match topics.iter().find(|topic| !found.contains_key(topic)) {
            Some(topic) => Err(FeedError::UnknownTopic {
                topic: topic.clone(),
            }),
            None => Ok(found),
        }
    }
}

#[async_trait]
impl Feed for KafkaFeed {
    async fn subscribe(
        &self,
        group: &Group,
        topics: &[Topic],
        options: SubscribeOptions,
    ) -> Result<Box<dyn Subscription>, FeedError> {
        // Each once, in an order.
        let topics: Vec<Topic> = self
            .existing("subscribe", topics)
            .await?
            .into_keys()
            .collect();
        let (client, timing) = (self.client.clone(), self.timing);
        let member = Member::new(
            client.clone(),
            group.clone(),
            topics.clone(),
            timing,
            self.protocol,
        );
        Ok(Box::new(KafkaSubscription::new(
            client,
            member,
            group.clone(),
            topics,
            options,
            timing,
            self.settings,
        )))
    }

    async fn lag(&self, group: &Group, topics: &[Topic]) -> Result<Vec<PartitionLag>, FeedError> {
        let found = self.existing("read lag", topics).await?;
        crate::lag::lag(&self.client, group, &found).await
    }
}
