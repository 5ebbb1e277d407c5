//! Short words for what cases do with a group.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use stockade_change_feed::{
    Feed, FeedError, Group, Message, Offset, OffsetReset, OnLostOffset, PollLimits, Polled,
    Position, Published, Publisher, Record, Start, SubscribeOptions, Subscription, Topic,
    TopicPartition,
};
use stockade_kafka::{GroupProtocol, KafkaClient, KafkaFeed, KafkaPublisher};

/// Until then, whatever was to come should have come.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn limits(records: usize) -> PollLimits {
    PollLimits {
        records,
        wait: Duration::from_millis(200),
        ..PollLimits::default()
    }
}

pub(crate) fn options(start: Start, on_lost_offset: OnLostOffset) -> SubscribeOptions {
    SubscribeOptions {
        start,
        on_lost_offset,
    }
}

pub(crate) fn feed(client: &KafkaClient, protocol: GroupProtocol) -> KafkaFeed {
    KafkaFeed::new(client.clone())
        .with_protocol(protocol)
        .with_session_timeout(Duration::from_secs(6))
}

/// Publishes numbered records to a partition.
pub(crate) async fn number(
    client: &KafkaClient,
    topic: &Topic,
    partition: u32,
    numbers: std::ops::Range<usize>,
) -> Vec<Published> {
    let publisher = KafkaPublisher::new(client.clone());
    let numbered = |n: usize| Message::to_partition(partition, n.to_string());
    let outcomes = publisher
        .publish(topic, numbers.map(numbered).collect())
        .await
        .unwrap();
    outcomes.into_iter().map(Result::unwrap).collect()
}

pub(crate) fn text(record: &Record) -> String {
    String::from_utf8_lossy(record.value.as_deref().unwrap_or_default()).into_owned()
}

pub(crate) fn texts(records: &[Record]) -> Vec<String> {
    records.iter().map(text).collect()
}

pub(crate) fn numbers(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|n| n.to_string()).collect()
}

/// A member of a group.
pub(crate) struct Member {
    pub(crate) subscription: Box<dyn Subscription>,
    pub(crate) owned: BTreeSet<TopicPartition>,
    pub(crate) lost: Vec<TopicPartition>,
    pub(crate) resets: Vec<OffsetReset>,
    /// What was committed where partitions were gained.
    pub(crate) committed: Vec<(TopicPartition, Option<Offset>)>,
}

impl Member {
    pub(crate) async fn join(feed: &KafkaFeed, group: &str, topic: &Topic) -> Self {
        Self::join_with(feed, group, topic, SubscribeOptions::default()).await
    }

    pub(crate) async fn join_with(
        feed: &KafkaFeed,
        group: &str,
        topic: &Topic,
        options: SubscribeOptions,
    ) -> Self {
        let group = Group::new(group).unwrap();
        let topics = std::slice::from_ref(topic);
        Self {
            subscription: feed.subscribe(&group, topics, options).await.unwrap(),
            owned: BTreeSet::new(),
            lost: Vec::new(),
            resets: Vec::new(),
            committed: Vec::new(),
        }
    }

    pub(crate) async fn try_poll(&mut self, limits: &PollLimits) -> Result<Vec<Record>, FeedError> {
        let polled = self.subscription.poll(limits).await?;
        Ok(self.note(polled))
    }

    pub(crate) fn note(&mut self, polled: Polled) -> Vec<Record> {
        for lost in polled.lost {
            assert!(self.owned.remove(&lost), "{lost} was not this member's");
            self.lost.push(lost);
        }
        for gained in polled.gained {
            assert!(
                self.owned.insert(gained.partition.clone()),
                "{gained:?} comes twice"
            );
            self.committed.push((gained.partition, gained.committed));
        }
        self.resets.extend(polled.resets);
        polled.records
    }

    pub(crate) async fn poll(&mut self, records: usize) -> Vec<Record> {
        self.try_poll(&limits(records)).await.unwrap()
    }

    /// Polls until so many records have come, and no more.
    pub(crate) async fn read(&mut self, count: usize) -> Vec<Record> {
        let mut records = Vec::new();
        let until = Instant::now() + PATIENCE;
        while records.len() < count {
            assert!(
                Instant::now() < until,
                "only {:?} came of {count}",
                texts(&records)
            );
            records.extend(self.poll(count - records.len()).await);
        }
        records
    }

    /// Polls, without reading, until it has so many partitions.
    pub(crate) async fn settle(&mut self, partitions: usize) {
        let until = Instant::now() + PATIENCE;
        while self.owned.len() != partitions {
            assert!(
                Instant::now() < until,
                "{:?} are not {partitions}",
                self.owned
            );
            self.poll(0).await;
        }
    }

    pub(crate) async fn expect_nothing(&mut self) {
        for _ in 0..3 {
            let records = self.poll(100).await;
            assert!(records.is_empty(), "{:?}", texts(&records));
        }
    }

    pub(crate) async fn try_commit(&mut self, position: &Position) -> Result<(), FeedError> {
        let positions = std::slice::from_ref(position);
        self.subscription.commit(positions).await?.remove(0)
    }

    pub(crate) async fn commit(&mut self, position: &Position) {
        self.try_commit(position).await.unwrap();
    }

    pub(crate) async fn close(self) {
        self.subscription.close().await.unwrap();
    }
}

/// Polls two members until both have something and together they have all.
pub(crate) async fn share(a: &mut Member, b: &mut Member, partitions: usize) {
    let until = Instant::now() + PATIENCE;
    loop {
        a.poll(0).await;
        b.poll(0).await;
        let all = a.owned.len() + b.owned.len() == partitions;
        if all && !a.owned.is_empty() && !b.owned.is_empty() && a.owned.is_disjoint(&b.owned) {
            return;
        }
        assert!(Instant::now() < until, "{:?} and {:?}", a.owned, b.owned);
    }
}

/// How many records a group is behind, all partitions together.
pub(crate) async fn behind(feed: &KafkaFeed, group: &str, topic: &Topic) -> u64 {
    let lags = feed
        .lag(&Group::new(group).unwrap(), std::slice::from_ref(topic))
        .await
        .unwrap();
    lags.into_iter().map(|lag| lag.records.unwrap()).sum()
}
