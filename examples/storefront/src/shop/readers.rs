//! The consumer groups of a shop, and how far they are behind.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use service_kit::{Readiness, Workers};
use stockade_change_feed::{
    Consumer, DeadLetters, Feed, Group, Handler, LagReport, PartitionLag, Publisher, Topic,
};

/// The longest time that the health of the shop waits for a log.
const HEALTH_WITHIN: Duration = Duration::from_millis(250);

/// A consumer group, and the topics that it reads. Its dead letters go to the same log.
#[derive(Clone)]
pub(crate) struct Reading {
    pub(crate) feed: Arc<dyn Feed>,
    pub(crate) publisher: Arc<dyn Publisher>,
    pub(crate) group: Group,
    pub(crate) topics: Vec<Topic>,
    pub(crate) dead_letters: Topic,
}

/// How far a consumer group is behind.
#[derive(Debug)]
pub struct Lag {
    /// The group.
    pub group: String,
    /// Its unread records; none if the log does not answer.
    pub records: Option<u64>,
    /// The age of the oldest unread record; none if the log does not answer.
    pub age: Option<Duration>,
}

/// The groups whose lag matters, and the workers of the shop.
pub(crate) struct Readers {
    pub(crate) readings: Vec<Reading>,
    pub(crate) readiness: Readiness,
}

impl Readers {
    /// Spawns what keeps the gauges of their lag up to date.
    pub(crate) fn report_lag(&self, workers: &mut Workers) {
        for reading in &self.readings {
            let (feed, group, topics) = (&reading.feed, &reading.group, &reading.topics);
            let report = LagReport::new(feed.clone(), group.clone(), topics.clone());
            workers.spawn("lag report", |stop| report.run(stop));
        }
    }

    /// The first worker that failed, and why.
    pub(crate) fn failed_worker(&self) -> Option<String> {
        let failed = self.readiness.failed_workers().into_iter().next()?;
        Some(format!("{}: {}", failed.worker, failed.reason))
    }

    /// The most unread records of a group.
    pub(crate) async fn most_behind(&self) -> u64 {
        let mut most = 0;
        for reading in &self.readings {
            most = most.max(reading.lag().await.records.unwrap_or(0));
        }
        most
    }

    /// How far each group is behind. Returns soon even if the log hangs.
    pub(crate) async fn lag(&self) -> Vec<Lag> {
        join_all(self.readings.iter().map(Reading::lag_for_health)).await
    }
}

impl Reading {
    /// A worker that reads them.
    pub(crate) fn consumer(&self, handler: Arc<dyn Handler>) -> Consumer {
        let dead_letters = DeadLetters::new(self.publisher.clone(), self.dead_letters.clone());
        let (group, topics) = (self.group.clone(), self.topics.clone());
        Consumer::new(self.feed.clone(), group, topics, handler).with_dead_letters(dead_letters)
    }

    async fn lag(&self) -> Lag {
        let partitions = self.feed.lag(&self.group, &self.topics).await.ok();
        self.lag_of(partitions.as_deref())
    }

    /// As [`lag`](Self::lag), but does not wait for a log that hangs.
    async fn lag_for_health(&self) -> Lag {
        let asked = tokio::time::timeout(HEALTH_WITHIN, self.lag()).await;
        asked.unwrap_or_else(|_| self.lag_of(None))
    }

    fn lag_of(&self, partitions: Option<&[PartitionLag]>) -> Lag {
        let (records, age) = partitions.map_or((None, None), PartitionLag::total);
        Lag {
            group: self.group.to_string(),
            records,
            age,
        }
    }
}
