//! Publishes stock events.

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use metrics::{counter, gauge};
use stockade_change_feed::time::{Backoff, Deadline, Stop, jittered, one_for_each};
use stockade_change_feed::trace::TraceSpan;
use stockade_change_feed::{
    Clock, FeedError, Message, Published, Publisher, Retry, SystemClock, Timestamp, Topic, trace,
};

use crate::error::InventoryError;
use crate::events::{Heartbeat, StockChanged, inventory_updates};
use crate::model::{Sku, Version};
use crate::store::{Cursor, StockOutbox, StockSource};
use crate::telemetry;
use crate::workers::wake::Wake;

/// Publishes the newest state of every SKU that changed, at least once. About every second it
/// publishes a heartbeat to every partition, which says up to which time everything is published.
///
/// - It works in passes over the outbox. An event that the log did not acknowledge stays in the
///   outbox for the next pass.
/// - While stock changes, a pass follows 10 ms after the one before. When there is nothing to
///   publish, the pauses double up to the interval. A [`Wake`] ends a pause: the host hands it to
///   what changes stock in the same process.
/// - Heartbeats are sent after a pass in which the log acknowledged every event.
/// - All stock is published again about every 10 minutes, so that a reader that missed an event
///   gets a newer one.
/// - Several relays may run, and a stalled one may publish late. Readers keep the highest version.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), stockade_inventory_core::InventoryError> {
/// use std::sync::Arc;
/// use stockade_change_feed::SystemClock;
/// use stockade_change_feed::memory::MemoryFeed;
/// use stockade_inventory_core::memory::MemoryInventory;
/// use stockade_inventory_core::workers::OutboxRelay;
///
/// let clock = Arc::new(SystemClock::new());
/// let store = Arc::new(MemoryInventory::new(clock.clone()));
/// let feed = Arc::new(MemoryFeed::new(clock));
/// let relay = OutboxRelay::new(store.clone(), store, feed);
/// // A service spawns `relay.run(stop)`. Here is one pass of it:
/// let pass = relay.pass().await?;
/// assert!(pass.complete_as_of.is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct OutboxRelay {
    outbox: Arc<dyn StockOutbox>,
    source: Arc<dyn StockSource>,
    publisher: Arc<dyn Publisher>,
    topic: Topic,
    interval: Duration,
    heartbeat_interval: Duration,
    batch: NonZeroUsize,
    republish_interval: Duration,
    first: First,
    timeout: Duration,
    clock: Arc<dyn Clock>,
    wake: Wake,
}

/// The result of a pass of [`OutboxRelay`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pass {
    /// The number of events that the log acknowledged.
    pub published: usize,
    /// The number of events that the log did not acknowledge. They stay in the outbox.
    pub failed: usize,
    /// Everything that was committed before this time on the store's clock is published, and the
    /// heartbeats have this time. None when an event failed.
    pub complete_as_of: Option<Timestamp>,
}

/// The answers of the log to a page of events.
#[derive(Default)]
struct Answers {
    acknowledged: Vec<(Sku, Version)>,
    failed: usize,
    /// The error of the first failed event.
    failure: Option<InventoryError>,
}

/// What happens before the first republish interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum First {
    Wait,
    Republish,
}

/// Whether a complete pass sends heartbeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heartbeats {
    Send,
    Omit,
}

/// The time of the last complete pass, on the monotonic clock.
struct LastComplete(Mutex<Duration>);

impl LastComplete {
    fn at(&self) -> Duration {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, now: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = now;
    }
}

const AGE_INTERVAL: Duration = Duration::from_secs(1);
const BATCH: NonZeroUsize = NonZeroUsize::new(500).expect("it is not 0");
/// The shortest pause between passes.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
/// The pause after a pass that published something, if the interval is not shorter.
const BUSY_PAUSE: Duration = Duration::from_millis(10);
/// The longest pause after failed passes.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

impl OutboxRelay {
    /// A relay to the topic `inventory_updates`. It makes a pass at least every 200 ms in pages of
    /// 500 SKUs, sends heartbeats every second, publishes all stock again about every 10 minutes,
    /// and waits at most 10 seconds for an answer.
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
            heartbeat_interval: Duration::from_secs(1),
            batch: BATCH,
            republish_interval: Duration::from_secs(600),
            first: First::Wait,
            timeout: Duration::from_secs(10),
            clock: Arc::new(SystemClock::new()),
            wake: Wake::new(),
        }
    }

    /// What wakes this relay and its clones. Hand it to
    /// [`Inventory::with_wake`](crate::Inventory::with_wake) and
    /// [`ExpiryWorker::with_wake`](super::ExpiryWorker::with_wake), or call it after a commit of
    /// your own.
    #[must_use]
    pub fn wake(&self) -> Wake {
        self.wake.clone()
    }

    /// Publishes to another topic.
    #[must_use]
    pub fn with_topic(mut self, topic: Topic) -> Self {
        self.topic = topic;
        self
    }

    /// Sets the longest pause between passes, at least a millisecond. After failed passes the
    /// pauses grow, up to 30 seconds.
    #[must_use]
    pub fn with_interval(mut self, interval: Duration) -> Self {
        self.interval = interval.max(SHORTEST_PAUSE);
        self
    }

    /// Sets the shortest time between heartbeats. A reader takes a cache whose heartbeats are 30
    /// seconds old for stale by default.
    #[must_use]
    pub fn with_heartbeat_interval(mut self, interval: Duration) -> Self {
        self.heartbeat_interval = interval;
        self
    }

    /// Sets the most SKUs that are read and published in a call. The relay holds no more in memory.
    #[must_use]
    pub fn with_batch(mut self, skus: NonZeroUsize) -> Self {
        self.batch = skus;
        self
    }

    /// Sets how often all stock is published again, page by page, with the interval between pages.
    #[must_use]
    pub fn with_republish_interval(mut self, interval: Duration) -> Self {
        self.republish_interval = interval;
        self
    }

    /// Publishes all stock at the start as well: for readers that start empty when the outbox is
    /// empty too, because everything was published before.
    #[must_use]
    pub fn republishing_first(mut self) -> Self {
        self.first = First::Republish;
        self
    }

    /// Sets how long to wait for an answer of the store or the log.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the clock for pauses.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Runs until `stop` is ready. Events that were published but not marked yet are published
    /// again by the next relay. A failed pass is logged and repeated.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) {
        let stopped = Stop::new();
        let complete = LastComplete(Mutex::new(self.clock.monotonic()));
        let work = async {
            tokio::join!(
                self.make_passes(&complete),
                self.report_age(&complete),
                self.keep_republishing(),
            );
        };
        tokio::join!(stopped.when(stop), stopped.or(work));
    }

    /// Sets the gauge of the age, also during a pass, because a pass may hang.
    async fn report_age(&self, complete: &LastComplete) {
        loop {
            let age = self.clock.monotonic().saturating_sub(complete.at());
            gauge!(telemetry::COMPLETE_AGE).set(age);
            self.clock.sleep(AGE_INTERVAL).await;
        }
    }

    async fn make_passes(&self, complete: &LastComplete) {
        let first_pause = self.interval.min(LONGEST_PAUSE);
        let mut backoff = Backoff::new(first_pause, LONGEST_PAUSE);
        let mut pause = BUSY_PAUSE;
        let mut last_heartbeat = None;
        loop {
            let begun = self.clock.monotonic();
            let is_due = |last: Duration| begun.saturating_sub(last) >= self.heartbeat_interval;
            let heartbeats = match last_heartbeat.is_none_or(is_due) {
                true => Heartbeats::Send,
                false => Heartbeats::Omit,
            };
            let pass = self.pass_with(heartbeats).await;
            if let Ok(Pass {
                published,
                complete_as_of: Some(_),
                ..
            }) = pass
            {
                complete.set(self.clock.monotonic());
                backoff.reset();
                if heartbeats == Heartbeats::Send {
                    last_heartbeat = Some(begun);
                }
                pause = match published {
                    0 => pause.saturating_mul(2).min(self.interval),
                    _ => BUSY_PAUSE.min(self.interval),
                };
                self.rest(pause).await;
                continue;
            }
            let pause = backoff.pause();
            if let Err(error) = pass {
                tracing::warn!(%error, ?pause, "a pass over the outbox failed; it is repeated");
            }
            self.clock.sleep(pause).await;
        }
    }

    /// Waits for the pause, or until the relay is woken, but not less than between busy passes.
    async fn rest(&self, pause: Duration) {
        let least = pause.min(BUSY_PAUSE);
        self.clock.sleep(least).await;
        tokio::select! {
            () = self.clock.sleep(pause.saturating_sub(least)) => {}
            () = self.wake.woken() => {}
        }
    }

    /// Publishes all pages of the outbox from the first to the last, and marks the events that the
    /// log acknowledged. If it acknowledged all, sends the heartbeats.
    ///
    /// # Errors
    /// The errors of the outbox, and those of the log when it did not acknowledge every heartbeat.
    /// Events that were acknowledged before are marked.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn pass(&self) -> Result<Pass, InventoryError> {
        self.pass_with(Heartbeats::Send).await
    }

    async fn pass_with(&self, heartbeats: Heartbeats) -> Result<Pass, InventoryError> {
        let (mut published, mut failed) = (0, 0);
        let mut after: Option<Cursor> = None;
        let mut first = None;
        loop {
            let page = self.outbox.unpublished(after.as_ref(), self.batch);
            let page = self.deadline("unpublished").bound(page).await?;
            // The time of the first page: a change in the pages that were read before is left to
            // the next pass.
            let first = *first.get_or_insert((page.epoch, page.complete_as_of));
            // The pass goes on after a failed page: other partitions may be up.
            let outcome = self.publish(&page.changes).await?;
            published += outcome.acknowledged.len();
            failed += outcome.failed;
            self.mark(&outcome.acknowledged).await;
            if page.next.is_none() {
                return self.conclude(published, failed, first, heartbeats).await;
            }
            if page.next == after {
                let what = format!("the outbox returned the cursor that it was given, {after:?}");
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
        heartbeats: Heartbeats,
    ) -> Result<Pass, InventoryError> {
        let mut pass = Pass {
            published,
            failed,
            complete_as_of: None,
        };
        if failed == 0 {
            if heartbeats == Heartbeats::Send {
                self.heartbeat(epoch, complete_as_of).await?;
            }
            pass.complete_as_of = Some(complete_as_of);
        }
        Ok(pass)
    }

    async fn publish(&self, changes: &[StockChanged]) -> Result<Answers, InventoryError> {
        let mut published = Answers::default();
        if changes.is_empty() {
            return Ok(published);
        }
        let (messages, spans): (Vec<Message>, Vec<_>) = changes.iter().map(traced).unzip();
        // Without an answer to the call, every event may be published or not, and stays in the outbox.
        let outcomes = self.append(messages).await.unwrap_or_else(|error| {
            published.failed = changes.len();
            published.failure = Some(error);
            Vec::new()
        });
        drop(spans);
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
            tracing::warn!(%error, failed, "stock events were not acknowledged; they stay in the outbox");
        }
        Ok(published)
    }

    /// Marks the published events. If that fails, they are published again, which is harmless.
    async fn mark(&self, acknowledged: &[(Sku, Version)]) {
        if acknowledged.is_empty() {
            return;
        }
        let marked = self.outbox.mark_published(acknowledged);
        if let Err(error) = self.deadline("mark_published").bound(marked).await {
            tracing::warn!(%error, "published events could not be marked; they are published again");
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

    async fn keep_republishing(&self) {
        if self.first == First::Republish {
            self.republish().await;
        }
        loop {
            self.clock.sleep(jittered(self.republish_interval)).await;
            self.republish().await;
        }
    }

    /// Publishes all stock again. A page of which the log acknowledges nothing is repeated, with
    /// growing pauses. Single failed events wait for the next time.
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
                    tracing::warn!(%error, "a page of all stock could not be published; it is repeated");
                    backoff.pause()
                }
            };
            self.clock.sleep(pause).await;
        }
    }

    /// Publishes a page of all stock, and returns the cursor of the next page; none at the end.
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

/// The message of a change. If a request in a trace made the change, publishing it is a span of that
/// trace, and the reader's work belongs to this span.
fn traced(change: &StockChanged) -> (Message, Option<Box<dyn TraceSpan>>) {
    let within = change.trace.as_ref();
    let Some(span) = within.and_then(|within| trace::span("publish", &change.sku, within)) else {
        return (change.to_message(), None);
    };
    let change = change.clone().with_trace(Some(span.context()));
    (change.to_message(), Some(span))
}

impl fmt::Debug for OutboxRelay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutboxRelay")
            .field("topic", &self.topic)
            .field("interval", &self.interval)
            .field("heartbeat_interval", &self.heartbeat_interval)
            .field("batch", &self.batch)
            .field("republish_interval", &self.republish_interval)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
