//! Topics and their partitions.

use std::collections::{BTreeMap, VecDeque};

use crate::error::FeedError;
use crate::record::{Message, Offset, Position, Record, Topic, TopicPartition};
use crate::time::Timestamp;

/// All topics.
#[derive(Debug)]
pub(super) struct Log {
    topics: BTreeMap<Topic, Vec<Partition>>,
    /// How many partitions a new topic gets.
    pub(super) partitions: u32,
    /// The most bytes that a message may have.
    pub(super) max_message_bytes: usize,
    /// The most records that are kept in each partition, where that is bounded.
    retention: BTreeMap<Topic, usize>,
}

impl Default for Log {
    fn default() -> Self {
        Self {
            topics: BTreeMap::new(),
            partitions: 4,
            max_message_bytes: 1 << 20,
            retention: BTreeMap::new(),
        }
    }
}

impl Log {
    /// The partitions of a topic, which is created if it does not exist.
    pub(super) fn topic(&mut self, topic: &Topic) -> &mut Vec<Partition> {
        let Self {
            topics, partitions, ..
        } = self;
        topics
            .entry(topic.clone())
            .or_insert_with(|| (0..*partitions).map(|_| Partition::default()).collect())
    }

    pub(super) fn partitions_of(&mut self, topic: &Topic) -> u32 {
        u32::try_from(self.topic(topic).len()).unwrap_or(u32::MAX)
    }

    /// How many partitions each of these topics has.
    pub(super) fn sizes<'a>(
        &mut self,
        topics: impl IntoIterator<Item = &'a Topic>,
    ) -> BTreeMap<Topic, u32> {
        let topics = topics.into_iter();
        topics
            .map(|topic| (topic.clone(), self.partitions_of(topic)))
            .collect()
    }

    /// A partition; none when the topic has fewer partitions or was deleted.
    pub(super) fn partition(&self, at: &TopicPartition) -> Option<&Partition> {
        self.topics.get(&at.topic)?.get(at.partition as usize)
    }

    pub(super) fn delete(&mut self, topic: &Topic) {
        self.topics.remove(topic);
    }

    pub(super) fn trim(&mut self, at: &TopicPartition, before: Offset) {
        if let Some(partition) = self.topic(&at.topic).get_mut(at.partition as usize) {
            partition.trim(before);
        }
    }

    pub(super) fn retain(&mut self, topic: &Topic, records: usize) {
        self.retention.insert(topic.clone(), records);
        for partition in self.topic(topic) {
            partition.retain(records);
        }
    }

    /// The partition that a message goes to, if it can be appended.
    pub(super) fn check(&mut self, topic: &Topic, message: &Message) -> Result<u32, FeedError> {
        let bytes = message.bytes();
        let limit = self.max_message_bytes;
        if bytes > limit {
            return Err(FeedError::TooLarge {
                topic: topic.clone(),
                bytes,
                limit,
            });
        }
        message.partition_in(topic, self.partitions_of(topic))
    }

    pub(super) fn append(
        &mut self,
        topic: &Topic,
        message: Message,
        now: Timestamp,
    ) -> Result<Position, FeedError> {
        let number = self.check(topic, &message)?;
        let most = self.retention.get(topic).copied();
        let partition = &mut self.topic(topic)[number as usize];
        let position = Position {
            partition: TopicPartition::new(topic.clone(), number),
            offset: Offset(u128::from(partition.end())),
            timestamp: now,
        };
        partition.records.push_back(
            Record::new(position.clone())
                .with_key(message.key)
                .with_value(message.value)
                .with_headers(message.headers),
        );
        if let Some(most) = most {
            partition.retain(most);
        }
        Ok(position)
    }
}

/// One partition. Its offsets start at 0 and have no gaps.
#[derive(Debug, Default)]
pub(super) struct Partition {
    /// The offset of the first record that is still there.
    first: u64,
    records: VecDeque<Record>,
}

impl Partition {
    pub(super) fn first(&self) -> u64 {
        self.first
    }

    /// The offset that the next record will have.
    pub(super) fn end(&self) -> u64 {
        self.first + self.records.len() as u64
    }

    pub(super) fn get(&self, offset: u64) -> Option<&Record> {
        let index = offset.checked_sub(self.first)?;
        self.records.get(usize::try_from(index).ok()?)
    }

    fn retain(&mut self, records: usize) {
        while self.records.len() > records && self.records.pop_front().is_some() {
            self.first += 1;
        }
    }

    fn trim(&mut self, before: Offset) {
        while u128::from(self.first) < before.0 && self.records.pop_front().is_some() {
            self.first += 1;
        }
    }

    /// Whether a record with this offset was appended at that time, as far as can be seen: removed
    /// records are not known any more.
    pub(super) fn had(&self, offset: u64, appended: Timestamp) -> bool {
        let same = |record: &Record| record.position.timestamp == appended;
        offset < self.end() && self.get(offset).is_none_or(same)
    }

    /// Whether reading can continue at `cursor` without a gap: the next records were not trimmed,
    /// and the topic was not created again.
    pub(super) fn holds(&self, cursor: Cursor) -> bool {
        let within = (self.first..=self.end()).contains(&cursor.next);
        let before = cursor
            .next
            .checked_sub(1)
            .and_then(|offset| self.get(offset));
        let same = match (before, cursor.after) {
            (Some(record), Some(timestamp)) => record.position.timestamp == timestamp,
            _ => true,
        };
        within && same
    }
}

/// Where a reader continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    /// The first offset that is not finished.
    pub(super) next: u64,
    /// When the record before it was appended, if one was read. A topic that was created again has
    /// another time there.
    pub(super) after: Option<Timestamp>,
}

impl Cursor {
    pub(super) fn at(next: u64) -> Self {
        Self { next, after: None }
    }
}
