//! Reading from the leaders of partitions.

mod batch;

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::fetch_request::{FetchPartition, FetchTopic};
use kafka_protocol::messages::fetch_response::{FetchResponse, PartitionData};
use kafka_protocol::messages::{FetchRequest, TopicName};
use stockade_change_feed::{Topic, TopicPartition};
use uuid::Uuid;

pub(crate) use self::batch::Read;
use crate::cluster::{KafkaClient, To};
use crate::error::{KafkaError, check};
use crate::offsets::{at, number, topic_of};
use crate::wire::{Request, topic_name};

const API: &str = FetchRequest::NAME;
/// From this version on topics go by their ids alone.
const BY_ID: i16 = 13;
/// From this version on the log is compared with what was read before.
const COMPARING: i16 = 12;
const COMMITTED_ONLY: i8 = 1;

/// What is wanted of a partition.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    /// The topic's id; nil where there is none.
    pub(crate) id: Uuid,
    /// The first offset.
    pub(crate) from: i64,
    /// The epoch of the leader that is asked, as far as it is known here.
    pub(crate) leader_epoch: i32,
    /// The epoch of the leader under which the record before was written; -1 where unknown.
    pub(crate) last_epoch: i32,
}

/// How much is wanted, and how long to wait for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// How long the leader may wait for a first record.
    pub(crate) wait: Duration,
    /// Most bytes in all, past the first batch.
    pub(crate) bytes: i32,
    /// Most bytes of a partition, past its first batch.
    pub(crate) partition_bytes: i32,
}

/// What became of a partition.
#[derive(Debug)]
pub(crate) enum Outcome {
    Read(Read),
    /// The log does not have the offset.
    OutOfRange,
    /// The log was cut off at this offset, after what was there had been read.
    Truncated(i64),
    /// Another broker leads it by now, or the topic is another one.
    Moved(KafkaError),
    Failed(KafkaError),
}

/// Reads from one leader.
pub(crate) async fn fetch(
    client: &KafkaClient,
    leader: i32,
    wanted: &BTreeMap<TopicPartition, Wanted>,
    bounds: Bounds,
) -> Result<Vec<(TopicPartition, Outcome)>, KafkaError> {
    let named = wanted.values().any(|wanted| wanted.id.is_nil());
    let newest = if named {
        BY_ID - 1
    } else {
        FetchRequest::NEWEST
    };
    let build = |version| request(wanted, bounds, version);
    let answer = client
        .ask_up_to(To::Node(leader), bounds.wait, newest, build)
        .await?;
    read(wanted, answer)
}

fn request(
    wanted: &BTreeMap<TopicPartition, Wanted>,
    bounds: Bounds,
    version: i16,
) -> FetchRequest {
    let mut topics: BTreeMap<&Topic, (Uuid, Vec<FetchPartition>)> = BTreeMap::new();
    for (at, wanted) in wanted {
        let partition = FetchPartition::default()
            .with_partition(number(at))
            .with_current_leader_epoch(wanted.leader_epoch)
            .with_fetch_offset(wanted.from)
            .with_partition_max_bytes(bounds.partition_bytes);
        let partition = match version {
            ..COMPARING => partition,
            _ => partition.with_last_fetched_epoch(wanted.last_epoch),
        };
        let (_, partitions) = topics.entry(&at.topic).or_insert((wanted.id, Vec::new()));
        partitions.push(partition);
    }
    let topics = topics.into_iter().map(|(topic, (id, partitions))| {
        let named = FetchTopic::default().with_partitions(partitions);
        match version {
            ..BY_ID => named.with_topic(topic_name(topic)),
            _ => named.with_topic_id(id),
        }
    });
    FetchRequest::default()
        .with_max_wait_ms(i32::try_from(bounds.wait.as_millis()).unwrap_or(i32::MAX))
        .with_min_bytes(1)
        .with_max_bytes(bounds.bytes)
        .with_isolation_level(COMMITTED_ONLY)
        // No session: each request says all.
        .with_session_epoch(-1)
        .with_topics(topics.collect())
}

fn read(
    wanted: &BTreeMap<TopicPartition, Wanted>,
    answer: FetchResponse,
) -> Result<Vec<(TopicPartition, Outcome)>, KafkaError> {
    check(API, answer.error_code)?;
    let mut outcomes = Vec::new();
    for topic in answer.responses {
        let name = name_of(wanted, &topic.topic, topic.topic_id)?;
        for partition in topic.partitions {
            let at = at(&name, partition.partition_index)?;
            if let Some(wanted) = wanted.get(&at) {
                let outcome = outcome(&at, wanted, partition);
                outcomes.push((at, outcome));
            }
        }
    }
    Ok(outcomes)
}

fn name_of(
    wanted: &BTreeMap<TopicPartition, Wanted>,
    name: &TopicName,
    id: Uuid,
) -> Result<Topic, KafkaError> {
    if !name.0.is_empty() {
        return topic_of(name.as_str());
    }
    let known = wanted.iter().find(|(_, wanted)| wanted.id == id);
    let known = known.map(|(at, _)| at.topic.clone());
    known.ok_or_else(|| KafkaError::malformed("answer to Fetch", format!("topic {id}")))
}

fn outcome(at: &TopicPartition, wanted: &Wanted, partition: PartitionData) -> Outcome {
    if partition.diverging_epoch.epoch >= 0 {
        return Outcome::Truncated(partition.diverging_epoch.end_offset);
    }
    match ResponseError::try_from_code(partition.error_code) {
        None => match batch::read(at, wanted.from, partition) {
            Ok(read) => Outcome::Read(read),
            Err(error) => Outcome::Failed(error),
        },
        Some(ResponseError::OffsetOutOfRange) => Outcome::OutOfRange,
        Some(error) => {
            let refused = KafkaError::Refused {
                api: API,
                code: error.code(),
                message: Some(format!("{at} from offset {}", wanted.from)),
            };
            match refused.is_transient() {
                true => Outcome::Moved(refused),
                false => Outcome::Failed(refused),
            }
        }
    }
}
