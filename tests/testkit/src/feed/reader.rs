//! Helpers for the cases of a log.

use std::collections::BTreeSet;
use std::time::Duration;

use stockade_change_feed::{
    FeedError, Gained, Group, Message, OffsetReset, OnLostOffset, PollLimits, Polled, Position,
    Published, Record, Start, SubscribeOptions, Subscription, Topic, TopicPartition,
};

use super::{FeedHarness, PublisherHarness};
use crate::while_time_passes;

/// Short enough for tests with real time.
pub(super) const WAIT: Duration = Duration::from_millis(200);
const STEP: Duration = Duration::from_millis(50);
/// The most polls in which expected records must come.
const POLLS: usize = 250;

pub(super) fn group(name: &str) -> Group {
    Group::new(name).expect("cases use valid groups")
}

pub(super) fn from(start: Start) -> SubscribeOptions {
    SubscribeOptions {
        start,
        on_lost_offset: OnLostOffset::Fail,
    }
}

pub(super) fn limits(records: usize) -> PollLimits {
    PollLimits {
        records,
        wait: WAIT,
        ..PollLimits::default()
    }
}

/// Publishes messages, which must succeed.
pub(super) async fn publish(
    h: &impl PublisherHarness,
    topic: &Topic,
    messages: Vec<Message>,
) -> Vec<Published> {
    let count = messages.len();
    let outcomes = h.publisher().publish(topic, messages).await;
    let outcomes = outcomes.unwrap_or_else(|error| panic!("publishing failed: {error}"));
    assert_eq!(outcomes.len(), count, "each message has an outcome");
    let taken = outcomes.into_iter();
    taken
        .map(|outcome| outcome.unwrap_or_else(|error| panic!("publishing failed: {error}")))
        .collect()
}

/// Publishes numbered records to a partition.
pub(super) async fn number(
    h: &impl PublisherHarness,
    topic: &Topic,
    partition: u32,
    numbers: std::ops::Range<usize>,
) -> Vec<Published> {
    let numbered = |n: usize| Message::to_partition(partition, n.to_string());
    publish(h, topic, numbers.map(numbered).collect()).await
}

/// The text of a record's value.
pub(super) fn text(record: &Record) -> String {
    let value = record.value.as_deref().unwrap_or_default();
    String::from_utf8_lossy(value).into_owned()
}

pub(super) fn texts(records: &[Record]) -> Vec<String> {
    records.iter().map(text).collect()
}

/// The texts of numbered records.
pub(super) fn numbers(numbers: std::ops::Range<usize>) -> Vec<String> {
    numbers.map(|n| n.to_string()).collect()
}

/// A member of a group.
pub(super) struct Reader<'h, H> {
    h: &'h H,
    pub(super) subscription: Box<dyn Subscription>,
    pub(super) owned: BTreeSet<TopicPartition>,
    pub(super) resets: Vec<OffsetReset>,
}

impl<'h, H: FeedHarness> Reader<'h, H> {
    /// Joins a group that starts at the oldest record.
    pub(super) async fn join(h: &'h H, named: &str, topics: &[Topic]) -> Self {
        Self::join_with(h, named, topics, from(Start::Earliest)).await
    }

    pub(super) async fn join_with(
        h: &'h H,
        named: &str,
        topics: &[Topic],
        options: SubscribeOptions,
    ) -> Self {
        let subscription = h.feed().subscribe(&group(named), topics, options).await;
        Self {
            h,
            subscription: subscription.unwrap_or_else(|error| panic!("joining failed: {error}")),
            owned: BTreeSet::new(),
            resets: Vec::new(),
        }
    }

    pub(super) async fn try_poll(&mut self, limits: &PollLimits) -> Result<Vec<Record>, FeedError> {
        let poll = self.subscription.poll(limits);
        let polled = while_time_passes(self.h, STEP, poll).await?;
        Ok(self.note(polled))
    }

    /// Records the reports of a poll, and returns its records.
    pub(super) fn note(&mut self, polled: Polled) -> Vec<Record> {
        for lost in polled.lost {
            let had = self.owned.remove(&lost);
            assert!(had, "{lost} is reported as revoked, but was never assigned");
        }
        for Gained { partition, .. } in polled.gained {
            let new = self.owned.insert(partition.clone());
            assert!(new, "{partition} is reported as assigned twice");
        }
        self.resets.extend(polled.resets);
        for record in &polled.records {
            let at = &record.position.partition;
            assert!(
                self.owned.contains(at),
                "a record of {at}, which is not assigned to the member"
            );
        }
        polled.records
    }

    pub(super) async fn poll(&mut self, limits: &PollLimits) -> Vec<Record> {
        let polled = self.try_poll(limits).await;
        polled.unwrap_or_else(|error| panic!("polling failed: {error}"))
    }

    /// Polls until this many records have come, and fails if there are more.
    pub(super) async fn read(&mut self, count: usize) -> Vec<Record> {
        let mut records = Vec::new();
        for _ in 0..POLLS {
            if records.len() >= count {
                break;
            }
            records.extend(self.poll(&limits(count - records.len())).await);
        }
        let came = texts(&records);
        assert_eq!(
            records.len(),
            count,
            "records that came (left), of those expected: {came:?}"
        );
        records
    }

    /// Expects that no records come.
    pub(super) async fn expect_nothing(&mut self, why: &str) {
        for _ in 0..3 {
            let records = self.poll(&limits(100)).await;
            assert!(
                records.is_empty(),
                "{why}, but these records came {:?}",
                texts(&records)
            );
        }
    }

    /// Polls, without reading records, until it has this many partitions.
    pub(super) async fn settle(&mut self, partitions: usize) {
        for _ in 0..POLLS {
            if self.owned.len() == partitions {
                return;
            }
            let records = self.poll(&limits(0)).await;
            assert!(
                records.is_empty(),
                "a poll for no records fetched {:?}",
                texts(&records)
            );
        }
        panic!(
            "a member should have {partitions} partitions, but has {:?}",
            self.owned
        );
    }

    pub(super) async fn commit(&mut self, finished: &Position) {
        let outcomes = self
            .subscription
            .commit(std::slice::from_ref(finished))
            .await
            .unwrap_or_else(|error| panic!("committing {finished} failed: {error}"));
        assert_eq!(outcomes.len(), 1, "one position has one outcome");
        for outcome in outcomes {
            outcome.unwrap_or_else(|error| panic!("committing {finished} failed: {error}"));
        }
    }

    pub(super) async fn close(self) {
        let closed = self.subscription.close().await;
        closed.unwrap_or_else(|error| panic!("closing failed: {error}"));
    }
}

/// Polls two members, without reading records, until each has some of the partitions and together
/// they have all.
pub(super) async fn settle_both<H: FeedHarness>(
    a: &mut Reader<'_, H>,
    b: &mut Reader<'_, H>,
    partitions: usize,
) {
    for _ in 0..POLLS {
        a.poll(&limits(0)).await;
        b.poll(&limits(0)).await;
        let apart = a.owned.is_disjoint(&b.owned);
        let all = a.owned.len() + b.owned.len() == partitions;
        if apart && all && !a.owned.is_empty() && !b.owned.is_empty() {
            return;
        }
    }
    let (a, b) = (&a.owned, &b.owned);
    panic!("two members should share {partitions} partitions, but have {a:?} and {b:?}");
}
