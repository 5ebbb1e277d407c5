//! What can go wrong with a feed.

use crate::failure::{Failing, Failure, Retry};
use crate::feed::Group;
use crate::record::{Offset, Position, Topic};
use crate::text::shorten;

/// An error of a feed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FeedError {
    /// A value is not allowed.
    #[error("{field} is invalid: {reason}; got {value:?}")]
    Invalid {
        /// The name of the input.
        field: &'static str,
        /// Its value, shortened if long.
        value: String,
        /// What is allowed.
        reason: String,
    },
    /// The topic does not exist and is not created on demand.
    #[error("topic {topic} does not exist; create it, or check the name")]
    UnknownTopic {
        /// The topic asked for.
        topic: Topic,
    },
    /// The topic has no such partition.
    #[error("topic {topic} has no partition {partition}; it has {partitions}, counted from 0")]
    UnknownPartition {
        /// The topic asked for.
        topic: Topic,
        /// The partition asked for.
        partition: u32,
        /// How many it has.
        partitions: u32,
    },
    /// The message is larger than the log takes.
    #[error("a message of {bytes} bytes for topic {topic} is over the limit of {limit} bytes")]
    TooLarge {
        /// Where it was to go.
        topic: Topic,
        /// Size of key, value and headers together.
        bytes: usize,
        /// The most that the log takes.
        limit: usize,
    },
    /// The committed offset is no longer in the log, and the policy is to stop.
    #[error(
        "offset {wanted} of {topic}/{partition} is gone: the log starts at {earliest}; \
         choose an offset policy, or reset the group"
    )]
    OffsetLost {
        /// The topic.
        topic: Topic,
        /// The partition.
        partition: u32,
        /// Where the group wanted to go on.
        wanted: Offset,
        /// The oldest offset in the log.
        earliest: Offset,
    },
    /// The partition has been assigned to another member; its new owner reads the records again.
    #[error("{topic}/{partition} is no longer assigned to this member of the group")]
    NotAssigned {
        /// The topic.
        topic: Topic,
        /// The partition.
        partition: u32,
    },
    /// The group has members. Only a group without members can be changed.
    #[error(
        "group {group} is read by {members} members; stop them, and wait out the session timeout \
         of those that crashed"
    )]
    GroupActive {
        /// The group.
        group: Group,
        /// How many members it has.
        members: usize,
    },
    /// A record can not be handled, and no place for dead letters is set.
    #[error(
        "the record at {position} can not be handled: {reason}; configure dead letters, or fix \
         the cause"
    )]
    Poisoned {
        /// Which record.
        position: Position,
        /// The reason that the handler gave.
        reason: String,
    },
    /// Bytes do not have the expected format.
    #[error("malformed {format} at {field}: {reason}")]
    Malformed {
        /// The format expected.
        format: &'static str,
        /// The path of the field, such as `source.table`.
        field: String,
        /// What was found there.
        reason: String,
    },
    /// The log did not do what was asked.
    #[error(transparent)]
    Failed(#[from] Failure),
}

impl FeedError {
    /// A [`FeedError::Invalid`], with the value shortened to fit a line.
    pub fn invalid(field: &'static str, value: &str, reason: impl Into<String>) -> Self {
        Self::Invalid {
            field,
            value: shorten(value),
            reason: reason.into(),
        }
    }

    /// What the caller may do.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Failed(failure) => failure.retry(),
            Self::Invalid { .. }
            | Self::UnknownTopic { .. }
            | Self::UnknownPartition { .. }
            | Self::TooLarge { .. }
            | Self::OffsetLost { .. }
            | Self::NotAssigned { .. }
            | Self::GroupActive { .. }
            | Self::Poisoned { .. }
            | Self::Malformed { .. } => Retry::Never,
        }
    }
}

impl Failing for FeedError {
    fn retry(&self) -> Retry {
        self.retry()
    }

    fn is_decision(&self) -> bool {
        !matches!(self, Self::Failed(_))
    }
}
