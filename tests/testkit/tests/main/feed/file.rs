//! A log in memory that writes each effect to a file, and reads the file when it is opened.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use stockade_change_feed::memory::MemoryFeed;
use stockade_change_feed::{
    Clock, Feed, FeedError, Group, Message, Offset, PartitionLag, PollLimits, Polled, Position,
    Published, Publisher, SubscribeOptions, Subscription, Topic, TopicPartition,
};

/// The rule that a log in a file breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileFlaw {
    None,
    /// Returns publishes before they are in the file.
    PublishesLater,
    /// Returns commits before they are in the file.
    CommitsLater,
    /// Removes records only in memory.
    ForgetsRemovals,
}

/// What the file has, one in a line.
#[derive(Serialize, Deserialize)]
enum Entry {
    Topic(String, u32),
    Record(String, u32, String),
    Commit(String, String, u32, u64),
    Removal(String, u32, u64),
}

/// Clones share one log.
#[derive(Clone)]
pub(super) struct FileFeed {
    memory: MemoryFeed,
    file: Arc<Mutex<File>>,
    flaw: FileFlaw,
}

/// The delay of a flawed write.
const LATER: Duration = Duration::from_millis(100);

impl FileFeed {
    pub(super) async fn open(
        path: PathBuf,
        clock: Arc<dyn Clock>,
        session_timeout: Duration,
        flaw: FileFlaw,
    ) -> Self {
        let memory = MemoryFeed::new(clock).with_session_timeout(session_timeout);
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        for line in text.lines() {
            // A line that a kill cut off is of a call that did not return.
            if let Ok(entry) = serde_json::from_str(line) {
                apply(&memory, entry).await;
            }
        }
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .unwrap();
        file.write_all(b"\n").unwrap();
        let file = Arc::new(Mutex::new(file));
        Self { memory, file, flaw }
    }

    fn write(&self, entry: &Entry, delayed_by: Option<FileFlaw>) {
        let mut line = serde_json::to_vec(entry).unwrap();
        line.push(b'\n');
        let file = self.file.clone();
        let write = move || file.lock().unwrap().write_all(&line).unwrap();
        if delayed_by == Some(self.flaw) {
            std::thread::spawn(move || {
                std::thread::sleep(LATER);
                write();
            });
        } else {
            write();
        }
    }

    pub(super) async fn create_topic(&self, topic: &Topic, partitions: u32) {
        let entry = Entry::Topic(topic.to_string(), partitions);
        create(&self.memory, topic, partitions).await;
        self.write(&entry, None);
    }

    pub(super) async fn recreate(&self, topic: &Topic) {
        let partitions = self.memory.partitions(topic).await.unwrap();
        self.memory.delete_topic(topic);
        create(&self.memory, topic, partitions).await;
    }

    pub(super) fn trim(&self, at: &TopicPartition, before: Offset) {
        self.memory.trim(at, before);
        if self.flaw != FileFlaw::ForgetsRemovals {
            let before = u64::try_from(before.0).unwrap();
            let entry = Entry::Removal(at.topic.to_string(), at.partition, before);
            self.write(&entry, None);
        }
    }
}

async fn create(memory: &MemoryFeed, topic: &Topic, partitions: u32) {
    let memory = memory.clone().with_partitions(partitions);
    assert_eq!(memory.partitions(topic).await.unwrap(), partitions);
}

async fn apply(memory: &MemoryFeed, entry: Entry) {
    let topic = |name: &str| Topic::new(name).unwrap();
    match entry {
        Entry::Topic(name, partitions) => create(memory, &topic(&name), partitions).await,
        Entry::Record(name, partition, value) => {
            let message = Message::to_partition(partition, value);
            memory.append(&topic(&name), message).unwrap();
        }
        Entry::Commit(group, name, partition, offset) => {
            let (group, topic) = (Group::new(group).unwrap(), topic(&name));
            let at = TopicPartition::new(topic.clone(), partition);
            let (topics, options) = ([topic], SubscribeOptions::default());
            let mut member = memory.subscribe(&group, &topics, options).await.unwrap();
            let all = PollLimits {
                records: usize::MAX,
                bytes: usize::MAX,
                wait: Duration::ZERO,
                paused: Vec::new(),
            };
            let records = member.poll(&all).await.unwrap().records;
            let positions = records.into_iter().map(|record| record.position);
            let finished: Vec<Position> = positions
                .filter(|position| position.partition == at && position.offset.0 == offset.into())
                .collect();
            member.commit(&finished).await.unwrap();
            member.close().await.unwrap();
        }
        Entry::Removal(name, partition, before) => {
            let at = TopicPartition::new(topic(&name), partition);
            memory.trim(&at, Offset(before.into()));
        }
    }
}

#[async_trait]
impl Publisher for FileFeed {
    async fn publish(
        &self,
        topic: &Topic,
        messages: Vec<Message>,
    ) -> Result<Vec<Result<Published, FeedError>>, FeedError> {
        let mut outcomes = Vec::with_capacity(messages.len());
        for message in messages {
            let value = message.value.clone().unwrap_or_default();
            let value = String::from_utf8(value.into()).unwrap();
            let position = self.memory.append(topic, message)?;
            let number = position.partition.partition;
            let entry = Entry::Record(topic.to_string(), number, value);
            self.write(&entry, Some(FileFlaw::PublishesLater));
            outcomes.push(Ok(position.into()));
        }
        Ok(outcomes)
    }

    async fn partitions(&self, topic: &Topic) -> Result<u32, FeedError> {
        self.memory.partitions(topic).await
    }
}

#[async_trait]
impl Feed for FileFeed {
    async fn subscribe(
        &self,
        group: &Group,
        topics: &[Topic],
        options: SubscribeOptions,
    ) -> Result<Box<dyn Subscription>, FeedError> {
        Ok(Box::new(FileMember {
            inner: self.memory.subscribe(group, topics, options).await?,
            log: self.clone(),
            group: group.clone(),
        }))
    }

    async fn lag(&self, group: &Group, topics: &[Topic]) -> Result<Vec<PartitionLag>, FeedError> {
        self.memory.lag(group, topics).await
    }
}

struct FileMember {
    inner: Box<dyn Subscription>,
    log: FileFeed,
    group: Group,
}

#[async_trait]
impl Subscription for FileMember {
    async fn poll(&mut self, limits: &PollLimits) -> Result<Polled, FeedError> {
        self.inner.poll(limits).await
    }

    async fn commit(
        &mut self,
        finished: &[Position],
    ) -> Result<Vec<Result<(), FeedError>>, FeedError> {
        let outcomes = self.inner.commit(finished).await?;
        for (position, outcome) in finished.iter().zip(&outcomes) {
            if outcome.is_ok() {
                let at = &position.partition;
                let offset = u64::try_from(position.offset.0).unwrap();
                let (group, topic) = (self.group.to_string(), at.topic.to_string());
                let entry = Entry::Commit(group, topic, at.partition, offset);
                self.log.write(&entry, Some(FileFlaw::CommitsLater));
            }
        }
        Ok(outcomes)
    }

    async fn close(self: Box<Self>) -> Result<(), FeedError> {
        self.inner.close().await
    }
}
