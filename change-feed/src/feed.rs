//! The traits that a log implements: publishing to it and reading from it.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use auto_impl::auto_impl;

use crate::error::FeedError;
use crate::record::{Message, Offset, Position, Published, Record, Topic, TopicPartition};

/// Appends messages to topics.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
#[auto_impl(&, Box, Arc)]
pub trait Publisher: Send + Sync {
    /// Appends `messages` to `topic` and returns an outcome for each, in their order.
    ///
    /// - `Ok` means durable by the log's own standard.
    /// - Messages of one call that go to one partition are appended in the order given. Messages
    ///   after a failed one may still succeed.
    /// - The message's [`Route`](crate::Route) decides which partition it goes to.
    /// - Readers see a message soon after it is appended, possibly only after this call has
    ///   returned.
    /// - At least once: after [`Retry::OutcomeUnknown`](crate::Retry::OutcomeUnknown) the
    ///   message may be in the log, and publishing it again may append it twice.
    ///
    /// # Errors
    /// When the call failed as a whole, in the same way for each message.
    async fn publish(
        &self,
        topic: &Topic,
        messages: Vec<Message>,
    ) -> Result<Vec<Result<Published, FeedError>>, FeedError>;

    /// How many partitions the topic has now. They are numbered from 0 without gaps.
    ///
    /// # Errors
    /// [`FeedError::UnknownTopic`] when the topic does not exist and is not created on demand.
    async fn partitions(&self, topic: &Topic) -> Result<u32, FeedError>;
}

/// Lets groups of readers follow topics.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
#[auto_impl(&, Box, Arc)]
pub trait Feed: Send + Sync {
    /// Returns a new member of `group` that reads `topics`. Repeated topics count once.
    ///
    /// - The member joins with its first poll; its first polls assign partitions to it. A member
    ///   that was never polled takes no partition from others.
    /// - At most one member of a group reads a partition at a time, as far as the log can see. A
    ///   member that stalls may overlap with the next owner, so effects must be conditional.
    /// - Members of a group may read different topics: a partition is assigned only to members that
    ///   read its topic. Their options may differ: the options of the member that the partition is
    ///   assigned to are used.
    ///
    /// # Errors
    /// [`FeedError::UnknownTopic`]; [`FeedError::Failed`].
    async fn subscribe(
        &self,
        group: &Group,
        topics: &[Topic],
        options: SubscribeOptions,
    ) -> Result<Box<dyn Subscription>, FeedError>;

    /// How far `group` is behind, for every partition of `topics`, whether a member reads it or
    /// not. When the group has committed nothing in a partition, all its records count, wherever
    /// the group will start.
    ///
    /// # Errors
    /// [`FeedError::UnknownTopic`]; [`FeedError::Failed`].
    async fn lag(&self, group: &Group, topics: &[Topic]) -> Result<Vec<PartitionLag>, FeedError>;
}

/// One member of a group. Dropping it without [`close`](Subscription::close) is like a crash: other
/// members take over after the session timeout.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Subscription: Send {
    /// Waits for records and returns them, in order within each partition.
    ///
    /// - Returns as soon as there is a record or a change of the assignment, and after
    ///   [`PollLimits::wait`] without either.
    /// - Returns at most [`PollLimits::records`] records, with at most [`PollLimits::bytes`] in
    ///   total, or one record that is larger. With a limit of 0 records it reads nothing, but still reports
    ///   changes of the assignment.
    /// - Skips the partitions in [`PollLimits::paused`]; they stay assigned. Partitions in that
    ///   list that are not assigned are ignored.
    /// - Records come only from assigned partitions: reported in [`Polled::gained`] by this poll or
    ///   an earlier one, and not in [`Polled::lost`] since.
    /// - A partition with many records keeps no other partition from being read.
    /// - Polling is the heartbeat, whatever its limits. A poll that waits is polling the whole time:
    ///   its member keeps its partitions, however long it waits. The partitions of a member that does not
    ///   poll within the log's session timeout are revoked. Its next poll joins again, and reports
    ///   the partitions that were revoked and those that are assigned.
    /// - Cancel-safe: a poll that is dropped loses no record and no report.
    /// - A poll that fails returns nothing and loses nothing: the next poll that succeeds returns
    ///   its records and reports.
    /// - Records of a partition that was revoked ([`Polled::lost`]) are delivered again to its next
    ///   owner, unless they were committed.
    ///
    /// # Errors
    /// [`FeedError::OffsetLost`] under [`OnLostOffset::Fail`], from each poll that would read the
    /// partition: not while the partition is paused, and not with a limit of 0 records. To read the
    /// other partitions, pause this one. [`FeedError::Failed`]: the caller may poll again.
    async fn poll(&mut self, limits: &PollLimits) -> Result<Polled, FeedError>;

    /// Commits: records that everything up to and including each position is finished. Returns an
    /// outcome for each position. The member must have read these positions: for another one the
    /// outcome is [`FeedError::NotAssigned`], or `Ok` as if it had been read. Of several positions
    /// in one partition, the furthest counts.
    ///
    /// `Ok` means durable up to that position, or up to a boundary of the log before it, such as
    /// the end of a transaction; never beyond it, so that unfinished records are delivered again. A
    /// position before the committed one changes nothing and is `Ok`. [`FeedError::NotAssigned`]
    /// when the partition has another owner, or its topic was deleted since it was read: nothing is
    /// committed, also if the topic was created again and has a record at that offset. A log that
    /// can not see yet that the topic was created again may return `Ok`: the commit then has no
    /// effect on the new topic, and the next member begins as [`OnLostOffset`] says.
    ///
    /// The future may be dropped: the commit may then take effect or not. The subscription stays
    /// usable, and the same commit may be made again.
    ///
    /// # Errors
    /// When the call failed as a whole, in the same way for each position.
    async fn commit(
        &mut self,
        finished: &[Position],
    ) -> Result<Vec<Result<(), FeedError>>, FeedError>;

    /// Leaves the group, so that other members take over at once. Commits nothing.
    ///
    /// # Errors
    /// [`FeedError::Failed`]: other members then take over after the session timeout.
    async fn close(self: Box<Self>) -> Result<(), FeedError>;
}

/// The name of a group of readers that share their progress: 1 to 249 of the characters
/// `a-z A-Z 0-9 . _ -`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Group(Topic);

impl Group {
    /// Checks a name.
    ///
    /// # Errors
    /// [`FeedError::Invalid`], as for a topic.
    pub fn new(name: impl AsRef<str>) -> Result<Self, FeedError> {
        Topic::new(name).map(Self).map_err(|error| match error {
            FeedError::Invalid { value, reason, .. } => FeedError::Invalid {
                field: "group",
                value,
                reason,
            },
            other => other,
        })
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How a group reads.
///
/// Exhaustive on purpose: a log that ignores an option must not compile.
#[derive(Clone, Debug, Default)]
pub struct SubscribeOptions {
    /// Where a group without a commit starts.
    pub start: Start,
    /// What happens when the committed offset is no longer in the log.
    pub on_lost_offset: OnLostOffset,
}

/// Where a group starts in a partition in which it has committed nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// At the oldest record that the log still has. This commits nothing: until the first commit,
    /// each member that the partition is assigned to starts at the record that is the oldest at
    /// that time.
    #[default]
    Earliest,
    /// After the newest record. The place is determined by the group's first poll that is assigned
    /// the partition, not by [`Feed::subscribe`], and committed before that poll returns. So every
    /// record that is appended later is read, even if the member crashes before its first commit.
    Latest,
}

/// What happens when reading can not continue without a gap, because
///
/// - a record after the committed one was removed before the group finished it, or the next one that
///   a member would read was removed while it reads; or
/// - the topic was deleted and created again, so that the record at the committed offset is another
///   one, with another timestamp, as far as the log can see. A log that deletes the commits of groups
///   together with the topic can not see it, unless the commits are restored: there the group has
///   committed nothing, and begins at its [`Start`].
///
/// The place at which reading continues instead is committed, before the poll that reports it
/// returns or soon after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnLostOffset {
    /// Polling fails with [`FeedError::OffsetLost`]: an operator has to decide.
    #[default]
    Fail,
    /// Continue at the oldest record, and report it in [`Polled::resets`].
    Earliest,
    /// Continue after the newest record, and report it in [`Polled::resets`].
    Latest,
}

/// The limits of one poll.
///
/// Exhaustive on purpose: a log that ignores a limit must not compile.
#[derive(Clone, Debug)]
pub struct PollLimits {
    /// Most records.
    pub records: usize,
    /// Most bytes: keys, values, and names and values of headers, as [`Record::bytes`] counts them.
    /// The first record counts, but is returned whatever its size. So a record that is larger than
    /// the limit is returned alone.
    pub bytes: usize,
    /// Longest wait for a first record.
    pub wait: Duration,
    /// Partitions to leave out.
    pub paused: Vec<TopicPartition>,
}

impl Default for PollLimits {
    /// 500 records, 4 MiB, 500 ms, nothing paused.
    fn default() -> Self {
        Self {
            records: 500,
            bytes: 4 << 20,
            wait: Duration::from_millis(500),
            paused: Vec::new(),
        }
    }
}

/// What a poll returns.
///
/// Read `lost` first, then `gained`, then `records`: a partition in both lists may have belonged to
/// another member in between, and its records here follow what the group has committed now.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Polled {
    /// The records, in order within each partition.
    pub records: Vec<Record>,
    /// Partitions that were assigned: this member reads them from now on.
    pub gained: Vec<Gained>,
    /// Partitions that were revoked: another member reads them from now on, and handles what is
    /// unfinished. Or the topic was deleted.
    pub lost: Vec<TopicPartition>,
    /// Partitions where reading did not continue at the committed offset.
    pub resets: Vec<OffsetReset>,
}

impl Polled {
    /// A poll that returned only records.
    #[must_use]
    pub fn records(records: Vec<Record>) -> Self {
        Self {
            records,
            ..Self::default()
        }
    }

    /// Sets the changes of the assignment.
    #[must_use]
    pub fn with_assignment(mut self, gained: Vec<Gained>, lost: Vec<TopicPartition>) -> Self {
        self.gained = gained;
        self.lost = lost;
        self
    }

    /// Whether there is neither a record nor a report.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self {
            records,
            gained,
            lost,
            resets,
        } = self;
        records.is_empty() && gained.is_empty() && lost.is_empty() && resets.is_empty()
    }

    /// Sets the resets.
    #[must_use]
    pub fn with_resets(mut self, resets: Vec<OffsetReset>) -> Self {
        self.resets = resets;
        self
    }
}

/// A partition that a member reads from now on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gained {
    /// Which partition.
    pub partition: TopicPartition,
    /// The committed offset, or an offset between it and the next record; reading continues after
    /// it. With [`Start::Latest`] it is the newest record that the first poll found. `None` when
    /// the group has committed nothing: reading begins at the oldest record.
    pub committed: Option<Offset>,
}

impl Gained {
    /// A partition that was assigned and is read from after `committed`.
    #[must_use]
    pub fn new(partition: TopicPartition, committed: Option<Offset>) -> Self {
        Self {
            partition,
            committed,
        }
    }
}

/// Reading did not continue at the committed offset: records may have been skipped, or, with
/// [`OnLostOffset::Earliest`], may be delivered again.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OffsetReset {
    /// The partition.
    pub partition: TopicPartition,
    /// The committed offset; 0 when nothing was committed.
    pub committed: Offset,
    /// The first offset that is read now, or a lower bound of it.
    pub resumed_at: Offset,
}

impl OffsetReset {
    /// A reset from `committed`, which is no longer in the log, to `resumed_at`.
    #[must_use]
    pub fn new(partition: TopicPartition, committed: Offset, resumed_at: Offset) -> Self {
        Self {
            partition,
            committed,
            resumed_at,
        }
    }
}

/// How far a group is behind in one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartitionLag {
    /// Which partition.
    pub partition: TopicPartition,
    /// Unfinished records, where the log can count them.
    pub records: Option<u64>,
    /// Age of the first unfinished record: zero when there is none, `None` when the log does not
    /// know it.
    pub age: Option<Duration>,
}

impl PartitionLag {
    /// The lag of one partition.
    #[must_use]
    pub fn new(partition: TopicPartition, records: Option<u64>, age: Option<Duration>) -> Self {
        Self {
            partition,
            records,
            age,
        }
    }

    /// The lag of several partitions together: all unfinished records, and the age of the oldest
    /// one. `None` where it is not known of a partition.
    #[must_use]
    pub fn total<'a>(
        partitions: impl IntoIterator<Item = &'a Self>,
    ) -> (Option<u64>, Option<Duration>) {
        let mut total = (Some(0_u64), Some(Duration::ZERO));
        for Self { records, age, .. } in partitions {
            total.0 = total
                .0
                .zip(*records)
                .map(|(sum, records)| sum.saturating_add(records));
            total.1 = total.1.zip(*age).map(|(oldest, age)| oldest.max(age));
        }
        total
    }
}
