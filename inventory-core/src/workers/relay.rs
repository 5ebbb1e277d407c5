//! Publishes what changed.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics::{counter, gauge};
use stockade_change_feed::time::{Backoff, Deadline, Stop, jittered, one_for_each};
use stockade_change_feed::{
    Clock, FeedError, Message, Published, Publisher, Retry, SystemClock, Timestamp, Topic,
};

use crate::error::InventoryError;
use crate::events::{Heartbeat, StockChanged, inventory_updates};
use crate::ids::Sku;
use crate::stock::Version;
use crate::store::{Cursor, StockOutbox, StockSource};
use crate::telemetry;

/// Publishes the newest state of every SKU that changed, at least once, and then a heartbeat to
/// every partition that says up to when everything is published.
///
/// It works in passes over the outbox. What the log did not acknowledge stays in the outbox for
/// the next pass, and there is no heartbeat until a pass is acknowledged as a whole. Now and then
/// all stock is published again, so that an event which a reader lost is made good.
///
/// Several may run, and a stalled one may publish late: readers keep the highest version.
#[derive(Clone)]
pub struct OutboxRelay {
    outbox: Arc<dyn StockOutbox>,
    source: Arc<dyn StockSource>,
    publisher: Arc<dyn Publisher>,
    topic: Topic,
    interval: Duration,
    batch: usize,
    republish_interval: Duration,
    first: First,
    timeout: Duration,
    clock: Arc<dyn Clock>,
}

/// What came of a pass.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pass {
    /// Events that the log acknowledged.
    pub published: usize,
    /// Events that it did not; they stay in the outbox.
    pub failed: usize,
    /// Everything that was committed before this time on the store's clock is published, and a
    /// heartbeat in every partition says so. None where something failed.
    pub complete_as_of: Option<Timestamp>,
}

/// What the log said to some events.
#[derive(Default)]
struct Answers {
    acknowledged: Vec<(Sku, Version)>,
    failed: usize,
    /// Why the first of those failed.
    failure: Option<InventoryError>,
}

/// What comes before the first interval has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum First {
    Wait,
    Republish,
}

/// When a pass was last complete, on the monotonic clock.
struct LastComplete(Mutex<Duration>);

impl LastComplete {
    fn at(&self) -> Duration {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, now: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }
}

const AGE_TOLD_EVERY: Duration = Duration::from_secs(1);
/// The shortest pause between passes.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
/// The longest pause after passes that failed.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

impl OutboxRelay {
    /// A relay to the topic `inventory_updates` that makes a pass every 200 ms in pages of 500
    /// SKUs, publishes all stock again about every 10 minutes, and waits 10 seconds for an answer.
    #[must_use]
    pub fn new(
        outbox: Arc<dyn StockOutbox>,
        source: Arc<dyn StockSource>,
        publisher: Arc<dyn Publisher>,
    ) -> Self {
        Self {
            outbox,
            source,
            publisher,
            topic: inventory_updates(),
            interval: Duration::from_millis(200),
            batch: 500,
            republish_interval: Duration::from_secs(600),
            first: First::Wait,
            timeout: Duration::from_secs(10),
            clock: Arc::new(SystemClock::new()),
        }
    }

    /// Publishes to another topic.
    #[must_use]
    pub fn with_topic(mut self, topic: Topic) -> Self {
        self.topic = topic;
        self
    }

    /// Pauses this long between passes, at least a millisecond. After one that failed the pauses
    /// grow, up to 30 seconds.
    #[must_use]
    pub fn with_interval(mut self, interval: Duration) -> Self {
        self.interval = interval.max(SHORTEST_PAUSE);
        self
    }

    /// Reads and publishes so many SKUs at a time, at least 1. No more are held in memory.
    #[must_use]
    pub fn with_batch(mut self, skus: usize) -> Self {
        self.batch = skus.max(1);
        self
    }

    /// Publishes all stock again about this often, with the interval between two pages.
    #[must_use]
    pub fn with_republish_interval(mut self, interval: Duration) -> Self {
        self.republish_interval = interval;
        self
    }

    /// Publishes all stock again as soon as it runs, too: for readers that begin with nothing while
    /// everything is long published.
    #[must_use]
    pub fn republishing_first(mut self) -> Self {
        self.first = First::Republish;
        self
    }

    /// Waits this long for an answer of the store or the log.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Waits on this clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Runs until `stop` is done. What was published and not yet marked is published again by
    /// whoever runs next. Failures end nothing.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) {
        let stopped = Stop::new();
        let complete = LastComplete(Mutex::new(self.clock.monotonic()));
        let work = async {
            tokio::join!(
                self.make_passes(&complete),
                self.tell_age(&complete),
                self.republish_from_time_to_time(),
            );
        };
        tokio::join!(stopped.when(stop), stopped.or(work));
    }

    /// While a pass is under way, too: it may be stuck.
    async fn tell_age(&self, complete: &LastComplete) {
        loop {
            let age = self.clock.monotonic().saturating_sub(complete.at());
            gauge!(telemetry::COMPLETE_AGE).set(age);
            self.clock.sleep(AGE_TOLD_EVERY).await;
        }
    }

    async fn make_passes(&self, complete: &LastComplete) {
        let first_pause = self.interval.min(LONGEST_PAUSE);
        let mut backoff = Backoff::new(first_pause, LONGEST_PAUSE);
        loop {
            let pass = self.pass().await;
            let pause = if matches!(&pass, Ok(pass) if pass.complete_as_of.is_some()) {
                complete.set(self.clock.monotonic());
                backoff.reset();
                self.interval
            } else {
                backoff.pause()
            };
            if let Err(error) = pass {
                tracing::warn!(%error, ?pause, "a pass over the outbox failed; it is made again");
            }
            self.clock.sleep(pause).await;
        }
    }

    /// Publishes all pages of the outbox from the first to the last, marks what the log
    /// acknowledged, and sends the heartbeats if that was everything.
    ///
    /// # Errors
    /// Those of the outbox, and of the log where it does not take the heartbeats. What was
    /// acknowledged until then is marked, and not every partition had a heartbeat.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn pass(&self) -> Result<Pass, InventoryError> {
        let (mut published, mut failed) = (0, 0);
        let mut after: Option<Cursor> = None;
        let mut first = None;
        loop {
            let page = self.outbox.unpublished(after.as_ref(), self.batch);
            let page = self.deadline("unpublished").bound(page).await?;
            // Of the first page: a change behind the place where the pass is by now is in the
            // next pass.
            let first = *first.get_or_insert((page.epoch, page.complete_as_of));
            // A page that fails ends nothing: its partition may be down, and the next one's not.
            let outcome = self.publish(&page.changes).await?;
            published += outcome.acknowledged.len();
            failed += outcome.failed;
            self.mark(&outcome.acknowledged).await;
            if page.next.is_none() {
                return self.conclude(published, failed, first).await;
            }
            if page.next == after {
                let what = format!("the outbox does not get on from {after:?}");
                return Err(InventoryError::Damaged { what });
            }
            after = page.next;
        }
    }

    async fn conclude(
        &self,
        published: usize,
        failed: usize,
        (epoch, complete_as_of): (u32, Timestamp),
    ) -> Result<Pass, InventoryError> {
        let mut pass = Pass {
            published,
            failed,
            complete_as_of: None,
        };
        if failed == 0 {
            self.heartbeat(epoch, complete_as_of).await?;
            pass.complete_as_of = Some(complete_as_of);
        }
        Ok(pass)
    }

    async fn publish(&self, changes: &[StockChanged]) -> Result<Answers, InventoryError> {
        let mut published = Answers::default();
        if changes.is_empty() {
            return Ok(published);
        }
        let messages = changes.iter().map(StockChanged::to_message).collect();
        // Without an answer to the call, every event may be published or not, and stays.
        let outcomes = self.append(messages).await.unwrap_or_else(|error| {
            published.failed = changes.len();
            published.failure = Some(error);
            Vec::new()
        });
        for (change, outcome) in changes.iter().zip(outcomes) {
            match outcome {
                Ok(_) => {
                    let marked = (change.sku.clone(), change.version);
                    published.acknowledged.push(marked);
                }
                Err(error) => {
                    published.failed += 1;
                    published.failure.get_or_insert_with(|| error.into());
                }
            }
        }
        counter!(telemetry::PUBLISHED).increment(published.acknowledged.len() as u64);
        counter!(telemetry::PUBLISH_FAILURES).increment(published.failed as u64);
        if let Some(error) = &published.failure {
            let failed = published.failed;
            tracing::warn!(%error, failed, "stock events were not published; they stay");
        }
        Ok(published)
    }

    /// Marks what is published. Where that fails it is published again, which harms nobody.
    async fn mark(&self, acknowledged: &[(Sku, Version)]) {
        if acknowledged.is_empty() {
            return;
        }
        let marked = self.outbox.mark_published(acknowledged);
        if let Err(error) = self.deadline("mark_published").bound(marked).await {
            tracing::warn!(%error, "published events were not marked; they are published again");
        }
    }

    async fn heartbeat(&self, epoch: u32, complete_as_of: Timestamp) -> Result<(), InventoryError> {
        let partitions = self.publisher.partitions(&self.topic);
        let partitions = self.deadline("partitions").bound(partitions).await?;
        let heartbeat = Heartbeat::new(epoch, complete_as_of, partitions);
        for outcome in self.append(heartbeat.to_messages()).await? {
            outcome?;
        }
        Ok(())
    }

    async fn append(
        &self,
        messages: Vec<Message>,
    ) -> Result<Vec<Result<Published, FeedError>>, InventoryError> {
        let expected = messages.len();
        let outcomes = self.publisher.publish(&self.topic, messages);
        let outcomes = self.deadline("publish").bound(outcomes).await?;
        Ok(one_for_each("publish", expected, outcomes)?)
    }

    async fn republish_from_time_to_time(&self) {
        if self.first == First::Republish {
            self.republish().await;
        }
        loop {
            self.clock.sleep(jittered(self.republish_interval)).await;
            self.republish().await;
        }
    }

    /// Publishes all stock again. A page of which the log takes nothing is tried again, with
    /// growing pauses; single events that fail are left to the next time.
    async fn republish(&self) {
        let mut after = None;
        let mut backoff = Backoff::new(Duration::from_secs(1), LONGEST_PAUSE);
        loop {
            let pause = match self.republish_page(after.as_ref()).await {
                Ok(None) => return,
                Ok(last) => {
                    after = last;
                    backoff.reset();
                    self.interval
                }
                Err(error) => {
                    tracing::warn!(%error, "stock could not be published again; it is tried again");
                    backoff.pause()
                }
            };
            self.clock.sleep(pause).await;
        }
    }

    /// Publishes a page of all stock, and returns where the next one begins; none at the end.
    async fn republish_page(
        &self,
        after: Option<&Cursor>,
    ) -> Result<Option<Cursor>, InventoryError> {
        let page = self.source.scan(after, self.batch);
        let page = self.deadline("scan").bound(page).await?;
        let changes: Vec<StockChanged> = page.stock.iter().map(StockChanged::from).collect();
        let published = self.publish(&changes).await?;
        if let Some(error) = published.failure
            && published.acknowledged.is_empty()
            && error.retry() != Retry::Never
        {
            return Err(error);
        }
        Ok(page.next)
    }

    fn deadline(&self, operation: &'static str) -> Deadline<'_> {
        Deadline::after(self.clock.as_ref(), operation, self.timeout)
    }
}

impl fmt::Debug for OutboxRelay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutboxRelay")
            .field("topic", &self.topic)
            .field("interval", &self.interval)
            .field("batch", &self.batch)
            .field("republish_interval", &self.republish_interval)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
