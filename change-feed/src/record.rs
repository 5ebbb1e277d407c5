//! The vocabulary of an ordered log: topics, partitions, offsets, records and messages.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::error::FeedError;
use crate::time::Timestamp;

/// The name of a topic: 1 to 249 of the characters `a-z A-Z 0-9 . _ -`, and neither `.` nor `..`.
///
/// This is what Kafka accepts. A log with stricter names maps topics to its own names, and never
/// maps two topics to the same name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Topic(Arc<str>);

impl Topic {
    /// Checks a name.
    ///
    /// # Errors
    /// [`FeedError::Invalid`] when it is empty, too long or has another character.
    pub fn new(name: impl AsRef<str>) -> Result<Self, FeedError> {
        let name = name.as_ref();
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let dots = matches!(name, "." | "..");
        if name.is_empty() || name.len() > 249 || dots || !name.chars().all(allowed) {
            let reason =
                "a topic has 1 to 249 of the characters a-z A-Z 0-9 . _ -, and not only dots";
            return Err(FeedError::invalid("topic", name, reason));
        }
        Ok(Self(name.into()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Topic {
    type Error = FeedError;

    fn try_from(name: String) -> Result<Self, FeedError> {
        Self::new(name)
    }
}

impl From<Topic> for String {
    fn from(topic: Topic) -> Self {
        topic.0.as_ref().to_owned()
    }
}

/// One partition of a topic, counted from 0.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TopicPartition {
    /// The topic.
    pub topic: Topic,
    /// The partition's number.
    pub partition: u32,
}

impl TopicPartition {
    /// The partition with this number of this topic.
    #[must_use]
    pub fn new(topic: Topic, partition: u32) -> Self {
        Self { topic, partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}

/// A position in a partition. Offsets rise, may have gaps, and can not be subtracted.
///
/// 128 bits hold a Kafka offset, a JetStream sequence, a Redis Streams id (milliseconds and
/// sequence) and a Postgres commit LSN with the position inside its transaction. As JSON it is a
/// string of digits, because few readers of JSON hold such numbers.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct Offset(pub u128);

impl From<Offset> for String {
    fn from(offset: Offset) -> Self {
        offset.0.to_string()
    }
}

impl TryFrom<String> for Offset {
    type Error = FeedError;

    fn try_from(digits: String) -> Result<Self, FeedError> {
        let number = digits.parse().map(Self);
        number.map_err(|_| FeedError::invalid("offset", &digits, "it is a number of 128 bits"))
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Named values of a record, in the order they were given, each name once.
///
/// Names of ASCII letters, digits, `-`, `_` and `.` work with every log. A log that can not carry
/// another name refuses the message with [`FeedError::Invalid`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, Bytes)>);

impl Headers {
    /// No headers.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds a header, or replaces the one with the same name.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Bytes>) -> Self {
        let (name, value) = (name.into(), value.into());
        match self.0.iter_mut().find(|(present, _)| *present == name) {
            Some(present) => present.1 = value,
            None => self.0.push((name, value)),
        }
        self
    }

    /// The value of the header with this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Bytes> {
        self.0
            .iter()
            .rev()
            .find(|(n, _)| n == name)
            .map(|(_, value)| value)
    }

    /// All headers, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Bytes)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Size of names and values together, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum()
    }
}

impl FromIterator<(String, Bytes)> for Headers {
    /// When a name repeats, the last value counts.
    fn from_iter<I: IntoIterator<Item = (String, Bytes)>>(pairs: I) -> Self {
        let add = |headers: Self, (name, value)| headers.with(name, value);
        pairs.into_iter().fold(Self::new(), add)
    }
}

/// A message to publish.
///
/// Exhaustive: a publisher that ignores a field must not compile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// How the partition is chosen.
    pub route: Route,
    /// What the record is about. Readers see the key with every route.
    pub key: Option<Bytes>,
    /// The content. None is a tombstone for the key.
    pub value: Option<Bytes>,
    /// Named values of the message.
    pub headers: Headers,
}

/// Which partition a message goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// The key decides: equal keys share a partition and keep their order. A message without a key
    /// goes to the partition of the empty key.
    Key,
    /// This partition, with any key.
    Partition(u32),
}

impl Message {
    /// A message whose key decides the partition.
    #[must_use]
    pub fn keyed(key: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        Self {
            route: Route::Key,
            key: Some(key.into()),
            value: Some(value.into()),
            headers: Headers::new(),
        }
    }

    /// A message without key for one partition.
    #[must_use]
    pub fn to_partition(partition: u32, value: impl Into<Bytes>) -> Self {
        Self {
            route: Route::Partition(partition),
            key: None,
            value: Some(value.into()),
            headers: Headers::new(),
        }
    }

    /// Replaces the headers.
    #[must_use]
    pub fn with_headers(mut self, headers: Headers) -> Self {
        self.headers = headers;
        self
    }

    /// Size of key, value and headers together, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        bytes(self.key.as_ref(), self.value.as_ref(), &self.headers)
    }
}

/// A record that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Record {
    /// Where the record is, and when it was appended.
    pub position: Position,
    /// What it is about.
    pub key: Option<Bytes>,
    /// The content. None is a tombstone for the key.
    pub value: Option<Bytes>,
    /// Named values of the record.
    pub headers: Headers,
}

impl Record {
    /// A record with neither key, value nor headers.
    #[must_use]
    pub fn new(position: Position) -> Self {
        Self {
            position,
            key: None,
            value: None,
            headers: Headers::new(),
        }
    }

    /// Sets the key.
    #[must_use]
    pub fn with_key(mut self, key: Option<Bytes>) -> Self {
        self.key = key;
        self
    }

    /// Sets the value.
    #[must_use]
    pub fn with_value(mut self, value: Option<Bytes>) -> Self {
        self.value = value;
        self
    }

    /// Sets the headers.
    #[must_use]
    pub fn with_headers(mut self, headers: Headers) -> Self {
        self.headers = headers;
        self
    }

    /// Size of key, value and headers together, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        bytes(self.key.as_ref(), self.value.as_ref(), &self.headers)
    }
}

fn bytes(key: Option<&Bytes>, value: Option<&Bytes>, headers: &Headers) -> usize {
    key.map_or(0, Bytes::len) + value.map_or(0, Bytes::len) + headers.bytes()
}

/// Where a message was appended.
///
/// Exhaustive on purpose: an adapter must set every field.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Published {
    /// Topic and partition.
    pub partition: TopicPartition,
    /// Offset in the partition.
    pub offset: Offset,
}

impl From<Position> for Published {
    fn from(position: Position) -> Self {
        let Position {
            partition, offset, ..
        } = position;
        Self { partition, offset }
    }
}

/// Where a record is, and when it was appended.
///
/// Offset and time belong together: a topic that was deleted and created again has the same offsets
/// with other times.
///
/// Exhaustive on purpose: code that stores a position must store every field.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Position {
    /// Topic and partition.
    pub partition: TopicPartition,
    /// Offset in the partition.
    pub offset: Offset,
    /// When the log appended it; or when its producer sent it, if the log stores only that.
    pub timestamp: Timestamp,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.partition, self.offset)
    }
}
