//! A log of stock events in a file, which outlives who published.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use async_trait::async_trait;
use stockade_change_feed::{
    Failure, FeedError, Message, Offset, Position, Published, Publisher, Record, Timestamp, Topic,
    TopicPartition,
};
use stockade_inventory_core::{StockChanged, StockEvent, inventory_updates};

/// Appends events to a file, a line each, written at once. Heartbeats are taken and not kept.
#[derive(Debug)]
pub struct FileLog {
    file: File,
}

impl FileLog {
    /// Appends to this file.
    ///
    /// # Errors
    /// Where it can't be written.
    pub fn append(path: &Path) -> anyhow::Result<Self> {
        let file = File::options().create(true).append(true).open(path);
        let file = file.with_context(|| format!("{} can't be written", path.display()))?;
        Ok(Self { file })
    }

    /// All events, in their order. None where nobody published.
    ///
    /// # Errors
    /// Where it can't be read.
    pub fn read(path: &Path) -> anyhow::Result<Vec<StockChanged>> {
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            text => text?,
        };
        let event = |line: &str| {
            let record = Record::new(nowhere(&inventory_updates()));
            let record = record.with_value(Some(line.to_owned().into()));
            match StockEvent::from_record(&record)? {
                Some(StockEvent::Changed(changed)) => Ok(changed),
                other => anyhow::bail!("not a change: {other:?}"),
            }
        };
        text.lines().map(event).collect()
    }

    fn write(&self, topic: &Topic, message: &Message) -> Result<Published, FeedError> {
        if let (Some(_), Some(event)) = (&message.key, &message.value) {
            let mut line = event.to_vec();
            line.push(b'\n');
            (&self.file)
                .write_all(&line)
                .map_err(|error| Failure::refused("publish", error))?;
        }
        Ok(nowhere(topic).into())
    }
}

/// Nobody reads it by position.
fn nowhere(topic: &Topic) -> Position {
    Position {
        partition: TopicPartition::new(topic.clone(), 0),
        offset: Offset(0),
        timestamp: Timestamp::from_millis(0),
    }
}

#[async_trait]
impl Publisher for FileLog {
    async fn publish(
        &self,
        topic: &Topic,
        messages: Vec<Message>,
    ) -> Result<Vec<Result<Published, FeedError>>, FeedError> {
        let publish = |message: &Message| self.write(topic, message);
        Ok(messages.iter().map(publish).collect())
    }

    async fn partitions(&self, _: &Topic) -> Result<u32, FeedError> {
        Ok(1)
    }
}
