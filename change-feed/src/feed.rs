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
    /// - `Ok` means durable by the log's own standard: it survives what the log survives.
    /// - Messages of one call that go to one partition are appended in the order given; those
    ///   after a failed one may still succeed.
    /// - The message's [`Route`](crate::Route) decides which partition it goes to.
    /// - Readers see a message soon after it is appended, perhaps only after this call has returned.
    /// - At least once: after [`Retry::OutcomeUnknown`](crate::Retry::OutcomeUnknown) the
    ///   message may be in the log, and publishing it again may append it twice.
    ///
    /// # Errors
    /// Where the call failed as a whole, in the same way for each message.
    async fn publish(
        &self,
        topic: &Topic,
        messages: Vec<Message>,
    ) -> Result<Vec<Result<Published, FeedError>>, FeedError>;

    /// How many partitions the topic has now. They are numbered from 0 without gaps.
    ///
    /// # Errors
    /// [`FeedError::UnknownTopic`] where topics are not created on demand.
    async fn partitions(&self, topic: &Topic) -> Result<u32, FeedError>;
}

/// Lets groups of readers follow topics.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
#[auto_impl(&, Box, Arc)]
pub trait Feed: Send + Sync {
    /// Returns a new member of `group` that reads `topics`. A topic that is named twice counts
    /// once.
    ///
    /// - The member joins with its first poll, and partitions are assigned to it by its first polls.
    ///   A member that was never polled takes no partition from others.
    /// - Each partition is read by at most one member of a group at a time, as far as the log can
    ///   tell; a member that stalls may overlap with its successor, so effects must be
    ///   conditional.
    /// - Members of a group may read different topics: a partition is assigned only to members that
    ///   read its topic. Their options may differ: those of the member that gains the partition
    ///   count.
    ///
    /// # Errors
    /// [`FeedError::UnknownTopic`]; [`FeedError::Failed`].
    async fn subscribe(
        &self,
        group: &Group,
        topics: &[Topic],
        options: SubscribeOptions,
    ) -> Result<Box<dyn Subscription>, FeedError>;

    /// How far `group` is behind, for every partition of `topics`, whether read or not. Where the
    /// group has committed nothing it is behind by all records, wherever it will start.
    ///
    /// # Errors
    /// [`FeedError::UnknownTopic`]; [`FeedError::Failed`].
    async fn lag(&self, group: &Group, topics: &[Topic]) -> Result<Vec<PartitionLag>, FeedError>;
}

/// One member of a group. Dropping it without [`close`](Subscription::close) is like a crash:
/// others take over once the log notices.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Subscription: Send {
    /// Waits for records and returns what there is, in order within each partition.
    ///
    /// - Returns as soon as one record or a change of the assignment is there, and after
    ///   [`PollLimits::wait`] with none.
    /// - Never more than [`PollLimits::records`] or, past the first record,
    ///   [`PollLimits::bytes`]. With a limit of 0 records it fetches nothing, and reports changes
    ///   of the assignment all the same.
    /// - Leaves out the partitions in [`PollLimits::paused`]; they stay assigned. Partitions there
    ///   that are not assigned are ignored.
    /// - Records come only from partitions that were reported in [`Polled::gained`], by this poll
    ///   or an earlier one, and not in [`Polled::lost`] since.
    /// - A partition with many records keeps no other partition from being read.
    /// - Polling is the heartbeat, whatever its limits: a member that does not poll within the
    ///   log's session timeout loses its partitions. When it polls again it joins again: that poll
    ///   reports the partitions that it has lost, and those that it gains.
    /// - Cancel-safe: a poll that is dropped loses no record and no report.
    /// - A poll that fails returns nothing, and loses no record and no report either: the next one
    ///   that succeeds has them.
    /// - Records before a partition is reported in [`Polled::lost`] are delivered again to its
    ///   next owner unless committed.
    ///
    /// # Errors
    /// [`FeedError::OffsetLost`] under [`OnLostOffset::Fail`], from each poll that would read the
    /// partition: not while the partition is paused, and not with a limit of 0 records. To read the
    /// other partitions, pause this one. [`FeedError::Failed`], after which polling again is right.
    async fn poll(&mut self, limits: &PollLimits) -> Result<Polled, FeedError>;

    /// Records that everything up to and including each position is finished, and returns an
    /// outcome for each. The positions are of records that this member has read; of several in one
    /// partition the furthest counts.
    ///
    /// Durable when `Ok`, up to that position or a boundary of the log's own before it, such as
    /// the end of a transaction: never past it, so that what is not finished comes again. A
    /// position behind the committed one changes nothing and is `Ok`.
    /// [`FeedError::NotAssigned`] when the partition has another owner by now, or is no longer
    /// the one that was read, because its topic was deleted: nothing is recorded.
    ///
    /// A caller may stop waiting and drop it: it may then take effect or not, and both this
    /// subscription and the same commit made again stay right.
    ///
    /// # Errors
    /// Where the call failed as a whole, in the same way for each position.
    async fn commit(
        &mut self,
        finished: &[Position],
    ) -> Result<Vec<Result<(), FeedError>>, FeedError>;

    /// Leaves the group, so that others take over at once. Commits nothing.
    ///
    /// # Errors
    /// [`FeedError::Failed`]: the others then take over after the session timeout.
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
/// Exhaustive: a log that ignores an option must not compile.
#[derive(Clone, Debug, Default)]
pub struct SubscribeOptions {
    /// Where a group starts that has committed nothing.
    pub start: Start,
    /// What happens when the committed offset is no longer what it was.
    pub on_lost_offset: OnLostOffset,
}

/// Where a group starts in a partition of which it has committed nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// At the oldest record that the log still has. Nothing is committed by that: until the first
    /// commit, each member that gains the partition starts at the oldest record there is then.
    #[default]
    Earliest,
    /// After the newest record. Which one that is, is determined by the first poll of the group
    /// that gains the partition, not by [`Feed::subscribe`], and committed before that poll
    /// returns. So every record that is appended later is read, also where the member crashes
    /// before its first commit.
    Latest,
}

/// What happens when a committed offset, or the next one that a member would read, is no longer in
/// the log; or when the topic was deleted and created again, so that the record there has another
/// timestamp, as far as the log can tell. Where the log deletes groups together with the topic, a
/// group that comes back is a new one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnLostOffset {
    /// Polling fails with [`FeedError::OffsetLost`]: somebody has to decide.
    #[default]
    Fail,
    /// Go on at the oldest record, and report it in [`Polled::resets`].
    Earliest,
    /// Go on after the newest record, and report it in [`Polled::resets`].
    Latest,
}

/// The bounds of one poll.
///
/// Exhaustive: a log that ignores a bound must not compile.
#[derive(Clone, Debug)]
pub struct PollLimits {
    /// Most records.
    pub records: usize,
    /// Most bytes of keys, values and headers; the first record is returned whatever its size.
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
/// To be read from `lost` to `gained` to `records`: a partition that is both lost and gained may
/// have been another member's in between, and its records here follow what the group has committed
/// now.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Polled {
    /// The records, in order within each partition.
    pub records: Vec<Record>,
    /// Partitions that this member reads from now on.
    pub gained: Vec<Gained>,
    /// Partitions that this member no longer reads: another member does from now on, and what is
    /// unfinished there is that member's. Or the topic was deleted.
    pub lost: Vec<TopicPartition>,
    /// Partitions where reading did not go on at the committed offset.
    pub resets: Vec<OffsetReset>,
}

impl Polled {
    /// Only records.
    #[must_use]
    pub fn records(records: Vec<Record>) -> Self {
        Self {
            records,
            ..Self::default()
        }
    }

    /// With changes of the assignment.
    #[must_use]
    pub fn with_assignment(mut self, gained: Vec<Gained>, lost: Vec<TopicPartition>) -> Self {
        self.gained = gained;
        self.lost = lost;
        self
    }

    /// Whether there is nothing: neither a record nor a report.
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

    /// With resets.
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
    /// The group has committed everything up to and including this offset, or an offset between
    /// it and the next record; reading goes on after it. With [`Start::Latest`] that is the newest
    /// record that the first poll found. `None` where the group has committed nothing: reading
    /// begins at the oldest record.
    pub committed: Option<Offset>,
}

impl Gained {
    /// That a partition is read from now on, after `committed`.
    #[must_use]
    pub fn new(partition: TopicPartition, committed: Option<Offset>) -> Self {
        Self {
            partition,
            committed,
        }
    }
}

/// Reading went on elsewhere than where the group had stopped: records may have been missed
/// (or, after [`OnLostOffset::Earliest`], come again).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OffsetReset {
    /// Where.
    pub partition: TopicPartition,
    /// What was committed; 0 where nothing was.
    pub committed: Offset,
    /// The first offset that is read now, or a lower bound of it.
    pub resumed_at: Offset,
}

impl OffsetReset {
    /// That `committed` was gone, and reading went on at `resumed_at`.
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
    /// Age of the first unfinished record: zero when there is none, `None` when the log can't
    /// tell.
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
}
