//! Reports how far a group is behind.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use metrics::{counter, gauge};

use crate::error::FeedError;
use crate::feed::{Feed, Group, PartitionLag};
use crate::record::Topic;
use crate::time::{Clock, Deadline, Stop, SystemClock};

const RECORDS: &str = "stockade_feed_lag_records";
const SECONDS: &str = "stockade_feed_lag_seconds";
const FAILURES: &str = "stockade_feed_lag_failures_total";

/// Sets gauges to how far a group is behind in each topic, every 10 seconds:
///
/// - `stockade_feed_lag_records{group,topic}`: its unfinished records in all partitions.
/// - `stockade_feed_lag_seconds{group,topic}`: the age of the oldest of them, 0 if there is none.
///
/// They are NaN while the log does not answer, which `stockade_feed_lag_failures_total{group}`
/// counts, and where the log does not know a value. One process for each group is enough: the gauges
/// are about the whole group.
///
/// ```
/// use std::sync::Arc;
/// use stockade_change_feed::memory::MemoryFeed;
/// use stockade_change_feed::{FeedError, Group, LagReport, SystemClock, Topic};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), FeedError> {
/// # let feed = Arc::new(MemoryFeed::new(Arc::new(SystemClock::new())));
/// # let stop = async {};
/// LagReport::new(feed, Group::new("billing")?, vec![Topic::new("orders")?])
///     .run(stop)
///     .await;
/// # Ok(())
/// # }
/// ```
pub struct LagReport {
    feed: Arc<dyn Feed>,
    group: Group,
    topics: Vec<Topic>,
    interval: Duration,
    timeout: Duration,
    clock: Arc<dyn Clock>,
}

impl LagReport {
    /// Reports the lag of `group` in `topics`. The log has 5 seconds to answer.
    #[must_use]
    pub fn new(feed: Arc<dyn Feed>, group: Group, topics: Vec<Topic>) -> Self {
        Self {
            feed,
            group,
            topics,
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(5),
            clock: Arc::new(SystemClock::new()),
        }
    }

    /// Sets the pause between reports.
    #[must_use]
    pub fn with_interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Sets how long to wait for the log.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the clock for pauses and deadlines.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Runs until `stop` is ready. A log that does not answer is asked again.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) {
        let stopped = Stop::new();
        let work = async {
            loop {
                self.report().await;
                self.clock.sleep(self.interval).await;
            }
        };
        tokio::join!(stopped.when(stop), stopped.or(work));
    }

    async fn report(&self) {
        let asked = self.feed.lag(&self.group, &self.topics);
        let deadline = Deadline::after(self.clock.as_ref(), "lag", self.timeout);
        let lag: Result<_, FeedError> = deadline.bound(asked).await;
        let partitions = lag.unwrap_or_else(|error| {
            counter!(FAILURES, "group" => self.group.as_str().to_owned()).increment(1);
            tracing::warn!(group = %self.group, %error, "the lag of a group can't be read");
            Vec::new()
        });
        let mut topics: BTreeMap<&Topic, Vec<&PartitionLag>> = BTreeMap::new();
        for topic in &self.topics {
            topics.insert(topic, Vec::new());
        }
        for lag in &partitions {
            topics.entry(&lag.partition.topic).or_default().push(lag);
        }
        for (topic, partitions) in topics {
            let (records, age) = gauges(&partitions);
            let labels = [
                ("group", self.group.as_str().to_owned()),
                ("topic", topic.as_str().to_owned()),
            ];
            gauge!(RECORDS, &labels).set(records);
            gauge!(SECONDS, &labels).set(age);
        }
    }
}

/// The gauges of some partitions; NaN where a partition's lag is not known, and without any partition.
#[allow(
    clippy::cast_precision_loss,
    reason = "the count is only shown; above 2^53 records it is rounded"
)]
fn gauges(partitions: &[&PartitionLag]) -> (f64, f64) {
    if partitions.is_empty() {
        return (f64::NAN, f64::NAN);
    }
    let (records, age) = PartitionLag::total(partitions.iter().copied());
    (
        records.map_or(f64::NAN, |records| records as f64),
        age.map_or(f64::NAN, |age| age.as_secs_f64()),
    )
}

impl fmt::Debug for LagReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { group, topics, .. } = self;
        let mut debug = f.debug_struct("LagReport");
        debug
            .field("group", group)
            .field("topics", topics)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::TopicPartition;

    fn lag(records: Option<u64>, seconds: Option<u64>) -> PartitionLag {
        let partition = TopicPartition::new(Topic::new("orders").unwrap(), 0);
        PartitionLag::new(partition, records, seconds.map(Duration::from_secs))
    }

    #[test]
    fn records_are_added_and_the_oldest_counts() {
        let [some, none] = [lag(Some(3), Some(7)), lag(Some(0), Some(0))];
        assert_eq!(gauges(&[&none, &some, &some]), (6.0, 7.0));
        assert_eq!(gauges(&[&none]), (0.0, 0.0));
    }

    #[test]
    fn what_is_not_known_is_no_number() {
        let some = lag(Some(3), Some(7));
        let (records, age) = gauges(&[&some, &lag(None, Some(9))]);
        assert!(records.is_nan());
        assert_eq!(age, 9.0);
        assert!(gauges(&[&some, &lag(Some(1), None)]).1.is_nan());
        assert!(gauges(&[]).0.is_nan());
    }
}
