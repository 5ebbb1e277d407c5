//! What can go wrong with a feed, and what the caller can do about it.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::feed::Group;
use crate::record::{Offset, Position, Topic};

/// What a caller may do after an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The same call fails the same way: something has to change first.
    Never,
    /// Nothing took effect. The same call may succeed, after this long.
    After(Duration),
    /// Nothing took effect, and the surrounding transaction is lost: begin it again.
    RestartTransaction,
    /// It may have taken effect. Only the same call with the same id tells.
    OutcomeUnknown,
}

/// The cause of an error: shared, so that errors can be cloned to everyone who waits.
#[derive(Clone)]
pub struct Cause(Arc<dyn StdError + Send + Sync>);

impl Cause {
    /// Wraps a driver's error.
    pub fn new(error: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self(Arc::from(error.into()))
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for Cause {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source()
    }
}

/// What went wrong with a feed.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FeedError {
    /// A value is outside what is allowed.
    #[error("{field} is invalid: {reason}; got {value:?}")]
    Invalid {
        /// Which input.
        field: &'static str,
        /// What it was, shortened if long.
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
        /// Key, value and headers together.
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
        /// What the log still has.
        earliest: Offset,
    },
    /// The partition belongs to another member by now; its new owner reads the records again.
    #[error("{topic}/{partition} is no longer assigned to this member of the group")]
    NotAssigned {
        /// The topic.
        topic: Topic,
        /// The partition.
        partition: u32,
    },
    /// Only a group that nobody reads for can be changed.
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
    /// A record can not be handled, and there is nowhere to put it.
    #[error(
        "the record at {position} can not be handled: {reason}; configure dead letters, or mend it"
    )]
    Poisoned {
        /// Which record.
        position: Position,
        /// Why, as its handler says.
        reason: String,
    },
    /// Bytes that should be a record of some format are not.
    #[error("malformed {format} at {field}: {reason}")]
    Malformed {
        /// The format expected.
        format: &'static str,
        /// The path of the field, such as `source.table`.
        field: String,
        /// What was found there.
        reason: String,
    },
    /// There was no answer within the deadline.
    #[error("{operation} had no answer within {after:?}")]
    Timeout {
        /// What was being done.
        operation: &'static str,
        /// How long was waited.
        after: Duration,
    },
    /// The log could not be reached; nothing took effect.
    #[error("{operation} could not reach the log: {source}")]
    Unavailable {
        /// What was being done.
        operation: &'static str,
        /// When to try again.
        retry_after: Duration,
        /// What the driver said.
        source: Cause,
    },
    /// The connection was lost after sending: it may have taken effect.
    #[error("{operation} was sent and its reply lost: {source}")]
    OutcomeUnknown {
        /// What was being done.
        operation: &'static str,
        /// What the driver said.
        source: Cause,
    },
    /// The log or its driver refused for a reason of its own.
    #[error("{operation} failed: {source}")]
    Backend {
        /// What was being done.
        operation: &'static str,
        /// What the driver said.
        source: Cause,
    },
}

impl FeedError {
    /// An [`FeedError::Invalid`], with the value shortened to what fits a line.
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
            Self::Unavailable { retry_after, .. } => Retry::After(*retry_after),
            Self::Timeout { .. } | Self::OutcomeUnknown { .. } => Retry::OutcomeUnknown,
            Self::Invalid { .. }
            | Self::UnknownTopic { .. }
            | Self::UnknownPartition { .. }
            | Self::TooLarge { .. }
            | Self::OffsetLost { .. }
            | Self::NotAssigned { .. }
            | Self::GroupActive { .. }
            | Self::Poisoned { .. }
            | Self::Malformed { .. }
            | Self::Backend { .. } => Retry::Never,
        }
    }
}

/// The beginning of a value that may be huge or hostile, fit for an error message.
#[must_use]
pub fn shorten(value: &str) -> String {
    const MOST: usize = 80;
    if value.len() <= MOST {
        return value.to_owned();
    }
    let end = (0..=MOST)
        .rev()
        .find(|&at| value.is_char_boundary(at))
        .unwrap_or(0);
    format!("{}… ({} bytes)", &value[..end], value.len())
}
