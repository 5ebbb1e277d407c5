//! The one loop that workers are built on: poll, handle, commit.

mod hand;
mod member;
#[cfg(test)]
mod tests;
mod watched;
mod work;

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use auto_impl::auto_impl;
use tokio::sync::watch;

use crate::dead_letter::DeadLetters;
use crate::error::FeedError;
use crate::feed::{Feed, Group, PollLimits, SubscribeOptions};
use crate::record::{Offset, Record, Topic, TopicPartition};
use crate::time::{Backoff, Clock, SystemClock};

/// What a worker does with records.
///
/// The same record may be handled again after a crash, a lost commit or a change of assignment,
/// possibly at the same time by another member. So every effect must be conditional: on a version,
/// a state or an id that the effect itself stores.
#[async_trait]
#[auto_impl(&, Box, Arc)]
pub trait Handler: Send + Sync {
    /// Handles a batch and returns how each record ended, in the order of [`Batch::records`].
    ///
    /// The batch holds records of several partitions; within one they are in order. The future
    /// may be dropped at any await point, after which the same records come again.
    async fn handle(&self, batch: Batch<'_>) -> Vec<Disposition>;
}

/// The records that a handler gets in one call.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Batch<'a> {
    /// The records.
    pub records: &'a [Record],
    /// Where reading starts in the partitions that this handler newly gets. A partition is reported
    /// once, with or before its first record, and again when reading continues at another place.
    ///
    /// Needed by a handler that must know whether its records follow the ones already contained in
    /// its effects, such as one that fills a cache. Other handlers ignore it.
    pub beginnings: &'a [Beginning],
}

impl<'a> Batch<'a> {
    /// A batch of records from partitions whose beginnings were reported before.
    #[must_use]
    pub fn of(records: &'a [Record]) -> Self {
        let beginnings = &[];
        Self {
            records,
            beginnings,
        }
    }

    /// Adds the partitions that begin.
    #[must_use]
    pub fn with_beginnings(mut self, beginnings: &'a [Beginning]) -> Self {
        self.beginnings = beginnings;
        self
    }
}

/// Where reading of a partition begins for a handler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beginning {
    /// Which partition.
    pub partition: TopicPartition,
    /// The place from which it is read.
    pub from: ReadFrom,
}

/// The place from which a partition is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFrom {
    /// After this offset: the group has finished everything up to it.
    After(Offset),
    /// From the start that the options set: the group has committed nothing.
    Start,
    /// From another place than the committed offset, because that offset is no longer in the log.
    /// Records may be missing, and offsets may have started again from 0.
    Elsewhere,
}

/// How a record ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// Its effect is durable, or it needed none.
    Done,
    /// This record failed, perhaps only for now. It is handled again, and becomes a dead letter
    /// after its last attempt.
    Retry {
        /// Why, for the log and the dead letter.
        reason: String,
    },
    /// Something that this record needs is unavailable: a database, an index, room in a queue. The
    /// record is handled again after a pause, without limit, and the attempt is not counted.
    ///
    /// Until then its partition is paused: no records of it are read or handled, because they would
    /// probably fail in the same way. Other partitions continue. When all records need the same
    /// unavailable thing, each partition tries it on its own: one batch first, and one more after
    /// each pause.
    Unavailable {
        /// Why, for the log.
        reason: String,
        /// The shortest pause. The consumer's backoff is used when it is longer. The longest pause
        /// among the records of a partition counts.
        retry_after: Duration,
    },
    /// It can never succeed. It is stored as a dead letter, and then counts as finished.
    DeadLetter {
        /// Why.
        reason: String,
    },
}

/// Follows topics as a member of a group, and hands their records to a [`Handler`].
///
/// - At least once: a record is finished when it is handled or stored as a dead letter. The
///   committed offset never passes an unfinished record. After each call of the handler, the
///   finished prefix of each partition is committed.
/// - A record that fails is handled again after a pause that doubles each time. After its last
///   attempt it becomes a dead letter. Until then no more records are read from its partition;
///   records that were read already are handled, and other partitions continue.
/// - [`Disposition::Unavailable`] pauses the record's partition alone, without limit.
/// - The consumer holds at most [`PollLimits`] unfinished records, whatever the backlog, plus one
///   of each partition: when the limit is reached by records that wait, partitions without a record
///   in hand are still read, one record at a time.
/// - While the handler works, the membership is kept alive. Records of a partition that is revoked
///   meanwhile are neither handled again nor committed.
/// - When reading can not continue at the committed offset, a warning is logged.
/// - A handler may take as long as it needs. While it has a batch in hand, a gauge reports for how
///   long. A warning is logged after a minute, and each time that the duration has doubled.
///
/// Counters, with the labels `group` and `topic`: `stockade_feed_records_handled_total`,
/// `stockade_feed_records_retried_total`, `stockade_feed_records_dead_lettered_total`. Gauge, with
/// the label `group`: `stockade_feed_batch_in_hand_seconds`, updated at each heartbeat; 0 when no
/// batch is in hand.
///
/// ```
/// use std::sync::Arc;
///
/// use stockade_change_feed::memory::MemoryFeed;
/// use stockade_change_feed::{
///     Batch, Consumer, DeadLetters, Disposition, Feed, FeedError, Group, Handler, Message, Publisher,
///     SystemClock, Topic,
/// };
/// use tokio::sync::Notify;
///
/// struct Print(Arc<Notify>);
///
/// #[async_trait::async_trait]
/// impl Handler for Print {
///     async fn handle(&self, batch: Batch<'_>) -> Vec<Disposition> {
///         for record in batch.records {
///             println!("{} has {:?}", record.position, record.value);
///         }
///         self.0.notify_one();
///         vec![Disposition::Done; batch.records.len()]
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), FeedError> {
/// let feed = Arc::new(MemoryFeed::new(Arc::new(SystemClock::new())));
/// let (orders, group) = (Topic::new("orders")?, Group::new("printer")?);
/// feed.publish(&orders, vec![Message::keyed("order-1", "{}")]).await?.remove(0)?;
///
/// // A service stops it at a signal; here the first batch does.
/// let printed = Arc::new(Notify::new());
/// let stop = printed.clone();
/// Consumer::new(feed.clone(), group.clone(), vec![orders.clone()], Arc::new(Print(printed)))
///     .with_dead_letters(DeadLetters::new(feed.clone(), Topic::new("orders.dead")?))
///     .run(async move { stop.notified().await })
///     .await?;
/// let lag = feed.lag(&group, &[orders]).await?;
/// assert!(lag.iter().all(|partition| partition.records == Some(0)));
/// # Ok(())
/// # }
/// ```
pub struct Consumer {
    feed: Arc<dyn Feed>,
    group: Group,
    topics: Vec<Topic>,
    handler: Arc<dyn Handler>,
    limits: PollLimits,
    options: SubscribeOptions,
    attempts: NonZeroU32,
    backoff: Backoff,
    heartbeat: Duration,
    grace: Duration,
    timeout: Duration,
    clock: Arc<dyn Clock>,
    dead_letters: Option<DeadLetters>,
}

impl Consumer {
    /// A consumer with the default options; each `with_` method states its default.
    #[must_use]
    pub fn new(
        feed: Arc<dyn Feed>,
        group: Group,
        topics: Vec<Topic>,
        handler: Arc<dyn Handler>,
    ) -> Self {
        Self {
            feed,
            group,
            topics,
            handler,
            limits: PollLimits::default(),
            options: SubscribeOptions::default(),
            attempts: NonZeroU32::new(5).unwrap_or(NonZeroU32::MIN),
            backoff: Backoff::new(Duration::from_millis(200), Duration::from_secs(10)),
            heartbeat: Duration::from_secs(3),
            grace: Duration::from_secs(5),
            timeout: Duration::from_secs(30),
            clock: Arc::new(SystemClock::new()),
            dead_letters: None,
        }
    }

    /// Sets the limits for the records in hand ([`PollLimits::default`]). At least one record is
    /// read at a time.
    #[must_use]
    pub fn with_limits(mut self, limits: PollLimits) -> Self {
        self.limits = PollLimits {
            records: limits.records.max(1),
            ..limits
        };
        self
    }

    /// Sets where to start, and what to do with a lost offset.
    #[must_use]
    pub fn with_options(mut self, options: SubscribeOptions) -> Self {
        self.options = options;
        self
    }

    /// Sets how often a record may be handled before it becomes a dead letter (5).
    #[must_use]
    pub fn with_attempts(mut self, attempts: NonZeroU32) -> Self {
        self.attempts = attempts;
        self
    }

    /// Sets the pauses before a retry: `first` (200 ms), doubled each time up to `most` (10 s),
    /// each lengthened at random by up to half.
    #[must_use]
    pub fn with_backoff(mut self, first: Duration, most: Duration) -> Self {
        self.backoff = Backoff::new(first, most);
        self
    }

    /// Sets the interval of heartbeats while the handler works (3 s). It must be well below the
    /// log's session timeout.
    #[must_use]
    pub fn with_heartbeat(mut self, interval: Duration) -> Self {
        self.heartbeat = interval.max(Duration::from_millis(1));
        self
    }

    /// Sets the time that the handler gets to finish after the stop (5 s).
    #[must_use]
    pub fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// Sets the deadline for each answer of the log (30 s): to joining the group, to polling (in
    /// addition to the poll's own wait), to committing, and to storing dead letters.
    ///
    /// A call without an answer in time is tried again, a commit together with the next one; it may
    /// have taken effect. During a commit there are no heartbeats, so choose a deadline well below
    /// the log's session timeout: then the membership survives a commit that hangs.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.max(Duration::from_millis(1));
        self
    }

    /// Sets the clock; the machine's by default.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Sets where records that can not be handled are stored. Without it, such a record stops the
    /// consumer with [`FeedError::Poisoned`]; it is never skipped.
    ///
    /// Storing a dead letter is tried again without limit; the record stays unfinished until then.
    #[must_use]
    pub fn with_dead_letters(mut self, dead_letters: DeadLetters) -> Self {
        self.dead_letters = Some(dead_letters);
        self
    }

    /// Works until the future `stop` is ready.
    ///
    /// Then no more records are read, the handler may finish within the grace period (after that
    /// its future is dropped), finished records are committed, and the consumer leaves the group.
    /// Dropping this future instead is like a crash: what is not committed is handled again, by
    /// other members after the session timeout.
    ///
    /// When the log is unavailable or does not answer in time, the call is tried again, without
    /// limit.
    ///
    /// # Errors
    /// Errors of the log that a retry can not fix, such as [`FeedError::OffsetLost`];
    /// [`FeedError::Poisoned`] when a record can not be handled and no place for dead letters is
    /// set; [`FeedError::Invalid`] when the handler returns another number of dispositions than it
    /// got records. What was finished before is committed, and the consumer leaves the group.
    #[tracing::instrument(name = "consume", skip_all, fields(group = %self.group))]
    pub async fn run(self, stop: impl Future<Output = ()> + Send) -> Result<(), FeedError> {
        let (stopping, stopped) = watch::channel(false);
        let overdue = async {
            stop.await;
            stopping.send_replace(true);
            self.clock.sleep(self.grace).await;
        };
        let mut member = None;
        let outcome = tokio::select! {
            biased;
            outcome = self.work(&mut member, stopped) => outcome,
            () = overdue => {
                tracing::warn!(grace = ?self.grace, "the handler did not finish in time");
                Ok(())
            }
        };
        if let Some(member) = member {
            self.leave(member).await;
        }
        outcome
    }
}

impl fmt::Debug for Consumer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Consumer")
            .field("group", &self.group)
            .field("topics", &self.topics)
            .field("limits", &self.limits)
            .field("options", &self.options)
            .field("attempts", &self.attempts)
            .field("dead_letters", &self.dead_letters)
            .finish_non_exhaustive()
    }
}
