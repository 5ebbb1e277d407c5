//! Publishing through a client of rskafka that the host has.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use chrono::DateTime;
use futures::future::join_all;
use rskafka::client::Client;
use rskafka::client::error::{Error, ProtocolError};
use rskafka::client::partition::{Compression as Codec, PartitionClient, UnknownTopicHandling};
use rskafka::record::Record;
use stockade_change_feed::time::Deadline;
use stockade_change_feed::{
    Clock, Failure, FeedError, Message, Offset, Published, Publisher, SystemClock, Topic,
    TopicPartition,
};

use super::route::route;
use super::{Compression, PUBLISH, size};

/// Publishes through a client of rskafka 0.6 that the host already has.
///
/// What it has less than [`KafkaPublisher`](crate::KafkaPublisher):
///
/// - It is not idempotent: a batch that rskafka sends again after a lost connection may be in the
///   log twice.
/// - The messages of a call that go to one partition succeed or fail together, up to the limit of
///   a batch.
/// - Each call sends its own batches; those of concurrent calls are not put together.
/// - rskafka sets no `TCP_NODELAY`: a request of 9 KiB or more takes some 40 ms longer.
/// - rskafka tries again for ever, also with a wrong password, unless its `BackoffConfig` has a
///   deadline. So a call ends after [`with_timeout`](Self::with_timeout), and what was not
///   answered by then may still be written.
/// - Headers are sorted by their names.
/// - The limit in [`FeedError::TooLarge`] is only known to be less than the message.
///
/// Keys go where Java's producers put them, as with `KafkaPublisher`.
///
/// ```no_run
/// use std::sync::Arc;
/// use stockade_kafka::RskafkaPublisher;
///
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// let client = rskafka::client::ClientBuilder::new(vec!["kafka:9092".to_owned()]).build().await?;
/// let publisher = RskafkaPublisher::new(Arc::new(client));
/// # drop(publisher);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RskafkaPublisher {
    client: Arc<Client>,
    topics: Arc<Mutex<BTreeMap<Topic, Arc<Partitions>>>>,
    compression: Compression,
    batch_bytes: usize,
    timeout: Duration,
    clock: Arc<dyn Clock>,
}

type Partitions = Vec<PartitionClient>;

impl RskafkaPublisher {
    /// Over a client of the host's.
    #[must_use]
    pub fn new(client: Arc<Client>) -> Self {
        Self {
            client,
            topics: Arc::default(),
            compression: Compression::None,
            batch_bytes: 1_000_000,
            timeout: Duration::from_secs(30),
            clock: Arc::new(SystemClock::new()),
        }
    }

    /// With compressed batches ([`Compression::None`]).
    #[must_use]
    pub fn with_compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// With another limit for a batch (1,000,000 bytes). A larger message goes alone.
    #[must_use]
    pub fn with_batch_bytes(mut self, bytes: usize) -> Self {
        self.batch_bytes = bytes.max(1);
        self
    }

    /// With another time until a call ends, whatever its outcomes are by then (30 s).
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// With another clock, which dates what is published ([`SystemClock`]).
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The partitions of a topic, as they were when it was used first.
    async fn known(&self, topic: &Topic) -> Result<Arc<Partitions>, FeedError> {
        let known = self.lock().get(topic).cloned();
        match known {
            Some(known) => Ok(known),
            None => self.ask(topic).await,
        }
    }

    async fn ask(&self, topic: &Topic) -> Result<Arc<Partitions>, FeedError> {
        let topics = self
            .client
            .list_topics()
            .await
            .map_err(|error| failed(topic, 0, error))?;
        let found = topics
            .into_iter()
            .find(|found| found.name == topic.as_str());
        let found = found.ok_or_else(|| FeedError::UnknownTopic {
            topic: topic.clone(),
        })?;
        let opened = found.partitions.into_iter().map(|number| {
            self.client
                .partition_client(topic.as_str(), number, UnknownTopicHandling::Error)
        });
        let mut partitions = Partitions::new();
        for opened in join_all(opened).await {
            partitions.push(opened.map_err(|error| failed(topic, 0, error))?);
        }
        let partitions = Arc::new(partitions);
        self.lock().insert(topic.clone(), partitions.clone());
        Ok(partitions)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Topic, Arc<Partitions>>> {
        // Nothing panics halfway through a change.
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn deadline(&self, operation: &'static str) -> Deadline<'_> {
        Deadline::after(self.clock.as_ref(), operation, self.timeout)
    }

    /// Appends messages to one partition, in their order.
    async fn append(
        &self,
        topic: &Topic,
        partition: &PartitionClient,
        messages: Vec<(usize, Message)>,
    ) -> Vec<(usize, Result<Published, FeedError>)> {
        let number = u32::try_from(partition.partition()).unwrap_or_default();
        let at = TopicPartition::new(topic.clone(), number);
        let mut outcomes = Vec::new();
        for batch in batches(messages, self.batch_bytes) {
            let (places, messages): (Vec<usize>, Vec<Message>) = batch.into_iter().unzip();
            let bytes = messages
                .iter()
                .map(Message::bytes)
                .max()
                .unwrap_or_default();
            let records = messages
                .into_iter()
                .map(|message| self.record(message))
                .collect();
            match partition.produce(records, codec(self.compression)).await {
                Ok(offsets) => {
                    let published = offsets.into_iter().map(|offset| {
                        let (partition, offset) = (at.clone(), offset.max(0).unsigned_abs());
                        Ok(Published {
                            partition,
                            offset: Offset(offset.into()),
                        })
                    });
                    outcomes.extend(places.into_iter().zip(published));
                }
                Err(error) => {
                    let error = failed(topic, bytes, error);
                    let failed = places.into_iter().map(|place| (place, Err(error.clone())));
                    outcomes.extend(failed);
                }
            }
        }
        outcomes
    }

    fn record(&self, message: Message) -> Record {
        let headers = message.headers.iter();
        Record {
            key: message.key.map(Vec::from),
            value: message.value.map(Vec::from),
            headers: headers
                .map(|(name, value)| (name.to_owned(), value.to_vec()))
                .collect(),
            timestamp: DateTime::from_timestamp_millis(self.clock.now().as_millis())
                .unwrap_or_default(),
        }
    }
}

/// Messages in their order, in batches of at most `most` bytes or one message.
fn batches(messages: Vec<(usize, Message)>, most: usize) -> Vec<Vec<(usize, Message)>> {
    let mut batches: Vec<Vec<(usize, Message)>> = Vec::new();
    let mut bytes = 0;
    for (place, message) in messages {
        let more = size(&message);
        match batches.last_mut() {
            Some(last) if bytes + more <= most => last.push((place, message)),
            _ => {
                bytes = 0;
                batches.push(vec![(place, message)]);
            }
        }
        bytes += more;
    }
    batches
}

#[async_trait]
impl Publisher for RskafkaPublisher {
    async fn publish(
        &self,
        topic: &Topic,
        messages: Vec<Message>,
    ) -> Result<Vec<Result<Published, FeedError>>, FeedError> {
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        let count = messages.len();
        let work = async {
            let partitions = self.known(topic).await?;
            let known = u32::try_from(partitions.len()).unwrap_or(u32::MAX);
            let mut routed: BTreeMap<u32, Vec<(usize, Message)>> = BTreeMap::new();
            let mut outcomes: BTreeMap<usize, Result<Published, FeedError>> = BTreeMap::new();
            for (place, message) in messages.into_iter().enumerate() {
                match route(topic, &message, known) {
                    Ok(number) => routed.entry(number).or_default().push((place, message)),
                    Err(error) => drop(outcomes.insert(place, Err(error))),
                }
            }
            let appended = routed.into_iter().filter_map(|(number, messages)| {
                let partition = partitions.get(number as usize)?;
                Some(self.append(topic, partition, messages))
            });
            outcomes.extend(join_all(appended).await.into_iter().flatten());
            Ok::<_, FeedError>(outcomes)
        };
        let mut outcomes = self.deadline(PUBLISH).bound(work).await?;
        let missing = || Failure::outcome_unknown(PUBLISH, "rskafka returned no offset for it");
        let outcome = |place| {
            outcomes
                .remove(&place)
                .unwrap_or_else(|| Err(missing().into()))
        };
        Ok((0..count).map(outcome).collect())
    }

    async fn partitions(&self, topic: &Topic) -> Result<u32, FeedError> {
        let deadline = self.deadline("count partitions");
        let partitions = deadline.bound(self.ask(topic)).await?;
        Ok(u32::try_from(partitions.len()).unwrap_or(u32::MAX))
    }
}

/// What rskafka says, by what the caller can do about it. `bytes` are those of the largest message.
fn failed(topic: &Topic, bytes: usize, error: Error) -> FeedError {
    match error {
        Error::ServerError { protocol_error, .. } if is_too_large(protocol_error) => {
            let (topic, limit) = (topic.clone(), bytes.saturating_sub(1));
            FeedError::TooLarge {
                topic,
                bytes,
                limit,
            }
        }
        Error::ServerError {
            protocol_error: ProtocolError::UnknownTopicOrPartition,
            ..
        } => FeedError::UnknownTopic {
            topic: topic.clone(),
        },
        error @ Error::ServerError { .. } => Failure::refused(PUBLISH, error).into(),
        // It had been sent, or may have been.
        error => Failure::outcome_unknown(PUBLISH, error).into(),
    }
}

fn is_too_large(error: ProtocolError) -> bool {
    matches!(
        error,
        ProtocolError::MessageTooLarge | ProtocolError::RecordListTooLarge
    )
}

fn codec(compression: Compression) -> Codec {
    match compression {
        Compression::None => Codec::NoCompression,
        Compression::Gzip => Codec::Gzip,
        Compression::Snappy => Codec::Snappy,
        Compression::Lz4 => Codec::Lz4,
        Compression::Zstd => Codec::Zstd,
    }
}

impl std::fmt::Debug for RskafkaPublisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RskafkaPublisher")
            .field("compression", &self.compression)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn batches_keep_the_order_and_the_limit() {
        let message = |bytes: usize| Message::to_partition(0, Bytes::from(vec![0; bytes]));
        let messages = [10, 10, 500, 10, 10, 10]
            .into_iter()
            .map(message)
            .enumerate();
        let batches = batches(messages.collect(), 100);
        let places: Vec<Vec<usize>> = batches
            .iter()
            .map(|batch| batch.iter().map(|(place, _)| *place).collect())
            .collect();
        assert_eq!(places, [vec![0, 1], vec![2], vec![3, 4], vec![5]]);
    }
}
