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
/// also at the same time by another member. So every effect must be conditional: on a version,
/// a state or an id that the effect itself leaves behind.
#[async_trait]
#[auto_impl(&, Box, Arc)]
pub trait Handler: Send + Sync {
    /// Handles a batch and returns how each record ended, in the order of [`Batch::records`].
    ///
    /// The batch holds records of several partitions; within one they are in order. The future
    /// may be dropped at any await point, after which the same records come again.
    async fn handle(&self, batch: Batch<'_>) -> Vec<Disposition>;
}

/// What a handler gets at once.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Batch<'a> {
    /// The records.
    pub records: &'a [Record],
    /// Where the records of partitions begin that come to this handler from now on; each is said
    /// once, with or before the first of its records, and again where reading begins elsewhere.
    ///
    /// For a handler that has to know whether its records follow those that its effects contain,
    /// as one that fills a cache does. Others leave it alone.
    pub beginnings: &'a [Beginning],
}

impl<'a> Batch<'a> {
    /// Records of partitions that were begun before.
    #[must_use]
    pub fn of(records: &'a [Record]) -> Self {
        let beginnings = &[];
        Self {
            records,
            beginnings,
        }
    }

    /// With partitions that begin.
    #[must_use]
    pub fn with_beginnings(mut self, beginnings: &'a [Beginning]) -> Self {
        self.beginnings = beginnings;
        self
    }
}

/// Where a handler's records of a partition begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beginning {
    /// Which partition.
    pub partition: TopicPartition,
    /// From where it is read.
    pub from: ReadFrom,
}

/// From where a partition is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFrom {
    /// After this offset: the group has finished everything up to it.
    After(Offset),
    /// From where a group starts that has finished nothing.
    Start,
    /// From another place than where the group had stopped, because that is gone: records may be
    /// missing, and offsets may have begun again.
    Elsewhere,
}

/// How a record ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// Its effect is durable, or it needed none.
    Done,
    /// This record failed, perhaps for now. It is handled again, and dead-lettered when its
    /// budget of attempts is spent.
    Retry {
        /// Why, for the log and the dead letter.
        reason: String,
    },
    /// Something that this record needs can not be reached: a database, an index, the room in a
    /// queue. It is handled again after a pause, without limit and without being charged for it:
    /// the record is not to blame.
    ///
    /// Meanwhile its partition is paused: nothing of it is read or handled, so that what follows
    /// does not run into the same. Other partitions go on. Where all records lack the same, each
    /// partition finds out for itself, with one batch and then with one more after each pause.
    Unavailable {
        /// Why, for the log.
        reason: String,
        /// The shortest pause; the consumer's backoff counts where that is longer. In a partition
        /// the longest of its records counts for all.
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
/// - At least once: a record is finished when it is handled or stored as a dead letter, and the
///   committed offset never passes one that is not. After each call of the handler the finished
///   prefix of each partition is committed.
/// - A record that fails is handled again after a pause that doubles each time, and dead-lettered
///   when its attempts are spent. Meanwhile nothing more is read from its partition; what was
///   read after it is handled, and other partitions go on.
/// - What [`Disposition::Unavailable`] is said of pauses its partition alone, without limit.
/// - Never more unfinished records in hand than [`PollLimits`] allows, whatever the backlog, but
///   for one of each partition: where the hand is full of records that wait, the partitions
///   without any are still read, one record at a time.
/// - While the handler works, the membership is kept alive. Records of a partition that is lost
///   meanwhile are neither handled again nor committed.
/// - Where reading could not go on at the committed offset, a warning says so.
/// - A handler may take as long as it likes. While it has a batch in hand, a gauge says for how
///   long, and a warning after a minute and whenever that has doubled.
///
/// Counters, each with the labels `group` and `topic`: `stockade_feed_records_handled_total`,
/// `stockade_feed_records_retried_total`, `stockade_feed_records_dead_lettered_total`. Gauge, with
/// the label `group`: `stockade_feed_batch_in_hand_seconds`, brought up to date at each heartbeat
/// and 0 where nothing is in hand for that long.
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
    /// A consumer with the defaults that its options state.
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

    /// With other bounds for the records in hand ([`PollLimits::default`]); at least one record
    /// is read at a time.
    #[must_use]
    pub fn with_limits(mut self, limits: PollLimits) -> Self {
        self.limits = PollLimits {
            records: limits.records.max(1),
            ..limits
        };
        self
    }

    /// With another place to start, or another policy for lost offsets.
    #[must_use]
    pub fn with_options(mut self, options: SubscribeOptions) -> Self {
        self.options = options;
        self
    }

    /// With another number of times that a record may be handled before it is dead-lettered (5).
    #[must_use]
    pub fn with_attempts(mut self, attempts: NonZeroU32) -> Self {
        self.attempts = attempts;
        self
    }

    /// With another pause before something is tried again: `first` (200 ms), doubled each time up
    /// to `most` (10 s), and up to half as much again at random.
    #[must_use]
    pub fn with_backoff(mut self, first: Duration, most: Duration) -> Self {
        self.backoff = Backoff::new(first, most);
        self
    }

    /// With another interval at which the membership is kept alive while the handler works (3 s).
    /// It must be well below the log's session timeout.
    #[must_use]
    pub fn with_heartbeat(mut self, interval: Duration) -> Self {
        self.heartbeat = interval.max(Duration::from_millis(1));
        self
    }

    /// With another time that the handler gets to finish after the stop (5 s).
    #[must_use]
    pub fn with_grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// With another deadline for each answer of the log (30 s): to joining the group, to polling
    /// (beyond its own wait), to committing, and to storing dead letters.
    ///
    /// What has no answer by then is tried again, a commit along with the next one; it may have
    /// taken effect. While a commit is under way there are no heartbeats, so a deadline well below
    /// the log's session timeout lets a membership outlive commits that hang.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout.max(Duration::from_millis(1));
        self
    }

    /// With another clock than the machine's.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// With a place for records that can not be handled. Without one, such a record stops the
    /// consumer with [`FeedError::Poisoned`]; it is never skipped.
    ///
    /// A dead letter that can not be stored is tried again, without limit; its record stays
    /// unfinished until then.
    #[must_use]
    pub fn with_dead_letters(mut self, dead_letters: DeadLetters) -> Self {
        self.dead_letters = Some(dead_letters);
        self
    }

    /// Works until `stop` ends.
    ///
    /// Then nothing more is read, the handler may finish within the grace period (after that its
    /// future is dropped), what is finished is committed, and the group is left. Dropping this
    /// future instead is like a crash: what is not committed comes again, to others after the
    /// session timeout.
    ///
    /// A log that can not be reached, or gives no answer in time, is tried again, without limit.
    ///
    /// # Errors
    /// What the log says can not be mended by trying again, [`FeedError::OffsetLost`] among it;
    /// [`FeedError::Poisoned`] where there is no place for dead letters; [`FeedError::Invalid`]
    /// when the handler returns another number of dispositions than it got records. What had
    /// been finished before is committed, and the group left.
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
                tracing::warn!(grace = ?self.grace, "the handler did not finish in time; its records come again");
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
