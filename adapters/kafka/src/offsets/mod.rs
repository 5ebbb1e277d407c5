//! A group's progress, where Kafka keeps it.

mod bounds;
mod note;

use std::collections::BTreeMap;
use std::time::Duration;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::{
    OffsetFetchRequestGroup, OffsetFetchRequestTopic, OffsetFetchRequestTopics,
};
use kafka_protocol::messages::offset_fetch_response::OffsetFetchResponse;
use kafka_protocol::messages::{OffsetCommitRequest, OffsetFetchRequest};
use stockade_change_feed::{Group, Offset, Position, Topic, TopicPartition};

pub(crate) use self::bounds::{Bound, Place, find};
pub(crate) use self::note::Note;
use crate::cluster::{KafkaClient, To, Topics};
use crate::error::{KafkaError, check};
use crate::wire::{Request, text, topic_name};

/// Who commits: a member of a group in a generation or epoch, or nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) group: Group,
    /// Its id; empty for nobody.
    pub(crate) member: String,
    /// Its generation in a classic group, its epoch in one of Kafka 4; -1 for nobody.
    pub(crate) epoch: i32,
    /// Whether the group's protocol has the broker check the epoch of who asks.
    pub(crate) checked: bool,
}

impl Claim {
    pub(crate) fn nobody(group: &Group) -> Self {
        Self {
            group: group.clone(),
            member: String::new(),
            epoch: -1,
            checked: false,
        }
    }
}

/// Where a group goes on in a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The first offset that is not finished.
    pub(crate) next: i64,
    /// Under which leader the record before it was written; -1 where that is unknown.
    pub(crate) epoch: i32,
    /// None where somebody else committed.
    pub(crate) note: Option<Note>,
}

/// What became of each partition that was committed: Kafka's error, or 0.
pub(crate) type Codes = BTreeMap<TopicPartition, i16>;

/// Commits, and returns what became of each partition.
pub(crate) async fn commit(
    client: &KafkaClient,
    to: To,
    claim: &Claim,
    progress: &BTreeMap<TopicPartition, Progress>,
) -> Result<Codes, KafkaError> {
    let mut topics: BTreeMap<&Topic, Vec<OffsetCommitRequestPartition>> = BTreeMap::new();
    for (at, progress) in progress {
        let note = progress.note.as_ref().map(|note| text(&note.write()));
        let partition = OffsetCommitRequestPartition::default()
            .with_partition_index(number(at))
            .with_committed_offset(progress.next)
            .with_committed_leader_epoch(progress.epoch)
            .with_committed_metadata(note);
        topics.entry(&at.topic).or_default().push(partition);
    }
    let topics = topics.into_iter().map(|(topic, partitions)| {
        OffsetCommitRequestTopic::default()
            .with_name(topic_name(topic))
            .with_partitions(partitions)
    });
    let request = OffsetCommitRequest::default()
        .with_group_id(text(claim.group.as_str()).into())
        .with_generation_id_or_member_epoch(claim.epoch)
        .with_member_id(text(&claim.member))
        .with_topics(topics.collect());
    let answer = client.ask(to, Duration::ZERO, |_| request).await?;
    let mut codes = Codes::new();
    for topic in answer.topics {
        let name = topic_of(topic.name.as_str())?;
        for partition in topic.partitions {
            let at = at(&name, partition.partition_index)?;
            codes.insert(at, partition.error_code);
        }
    }
    Ok(codes)
}

/// Where the group goes on; nothing for partitions of which nothing is committed.
///
/// Fails for now where a transaction is about to commit offsets of the group.
pub(crate) async fn committed(
    client: &KafkaClient,
    to: To,
    claim: &Claim,
    partitions: &[TopicPartition],
) -> Result<BTreeMap<TopicPartition, Progress>, KafkaError> {
    let mut topics: BTreeMap<&Topic, Vec<i32>> = BTreeMap::new();
    for at in partitions {
        topics.entry(&at.topic).or_default().push(number(at));
    }
    let build = |version| match version {
        ..=7 => one_group(claim, topics),
        _ => many_groups(claim, topics, version),
    };
    let answer = client.ask(to, Duration::ZERO, build).await?;
    read(&answer)
}

fn one_group(claim: &Claim, topics: BTreeMap<&Topic, Vec<i32>>) -> OffsetFetchRequest {
    let topics = topics.into_iter().map(|(topic, partitions)| {
        OffsetFetchRequestTopic::default()
            .with_name(topic_name(topic))
            .with_partition_indexes(partitions)
    });
    OffsetFetchRequest::default()
        .with_group_id(text(claim.group.as_str()).into())
        .with_topics(Some(topics.collect()))
        .with_require_stable(true)
}

fn many_groups(
    claim: &Claim,
    topics: BTreeMap<&Topic, Vec<i32>>,
    version: i16,
) -> OffsetFetchRequest {
    let topics = topics.into_iter().map(|(topic, partitions)| {
        OffsetFetchRequestTopics::default()
            .with_name(topic_name(topic))
            .with_partition_indexes(partitions)
    });
    let mut group = OffsetFetchRequestGroup::default()
        .with_group_id(text(claim.group.as_str()).into())
        .with_topics(Some(topics.collect()));
    if claim.checked && version >= 9 {
        group = group
            .with_member_id(Some(text(&claim.member)))
            .with_member_epoch(claim.epoch);
    }
    OffsetFetchRequest::default()
        .with_groups(vec![group])
        .with_require_stable(true)
}

fn read(answer: &OffsetFetchResponse) -> Result<BTreeMap<TopicPartition, Progress>, KafkaError> {
    const API: &str = OffsetFetchRequest::NAME;
    let mut found = BTreeMap::new();
    let mut add = |topic: &str, partition, code, next, epoch, metadata: &str| {
        check(API, code)?;
        if next >= 0 {
            let note = Note::read(metadata);
            let progress = Progress { next, epoch, note };
            found.insert(at(&topic_of(topic)?, partition)?, progress);
        }
        Ok::<_, KafkaError>(())
    };
    check(API, answer.error_code)?;
    for topic in &answer.topics {
        for p in &topic.partitions {
            let metadata = p.metadata.as_deref().unwrap_or_default();
            let (next, epoch) = (p.committed_offset, p.committed_leader_epoch);
            add(
                &topic.name,
                p.partition_index,
                p.error_code,
                next,
                epoch,
                metadata,
            )?;
        }
    }
    for group in &answer.groups {
        check(API, group.error_code)?;
        for topic in &group.topics {
            for p in &topic.partitions {
                let metadata = p.metadata.as_deref().unwrap_or_default();
                let (next, epoch) = (p.committed_offset, p.committed_leader_epoch);
                add(
                    &topic.name,
                    p.partition_index,
                    p.error_code,
                    next,
                    epoch,
                    metadata,
                )?;
            }
        }
    }
    Ok(found)
}

/// A partition's number as Kafka has it.
pub(crate) fn number(at: &TopicPartition) -> i32 {
    i32::try_from(at.partition).unwrap_or(i32::MAX)
}

pub(crate) fn topic_of(name: &str) -> Result<Topic, KafkaError> {
    Topic::new(name).map_err(|error| KafkaError::malformed("name of a topic", error.to_string()))
}

pub(crate) fn at(topic: &Topic, number: i32) -> Result<TopicPartition, KafkaError> {
    let partition = u32::try_from(number)
        .map_err(|_| KafkaError::malformed("number of a partition", number.to_string()))?;
    Ok(TopicPartition::new(topic.clone(), partition))
}

/// All partitions of these topics.
pub(crate) fn partitions(topics: &Topics) -> Vec<TopicPartition> {
    let partitions = topics.iter().flat_map(|(topic, info)| {
        (0..info.count()).map(|number| TopicPartition::new(topic.clone(), number))
    });
    partitions.collect()
}

/// An offset as Kafka has it.
pub(crate) fn offset(position: &Position) -> i64 {
    i64::try_from(position.offset.0).unwrap_or(i64::MAX)
}

/// An offset as the feed has it.
pub(crate) fn feed_offset(offset: i64) -> Offset {
    Offset(u128::from(offset.max(0).unsigned_abs()))
}

/// The last offset before `next`.
pub(crate) fn before(next: i64) -> Offset {
    feed_offset(next.saturating_sub(1))
}

/// An error where a partition was not committed.
pub(crate) fn all_committed(codes: &Codes) -> Result<(), KafkaError> {
    let codes = codes.values();
    codes
        .copied()
        .try_for_each(|code| check(OffsetCommitRequest::NAME, code))
}

/// An error where the broker that was asked does not coordinate the group, or not yet.
pub(crate) fn coordinated(codes: &Codes) -> Result<(), KafkaError> {
    let elsewhere = codes.values().copied().find(|code| {
        matches!(
            ResponseError::try_from_code(*code),
            Some(
                ResponseError::NotCoordinator
                    | ResponseError::CoordinatorNotAvailable
                    | ResponseError::CoordinatorLoadInProgress
                    | ResponseError::RequestTimedOut
            )
        )
    });
    check(OffsetCommitRequest::NAME, elsewhere.unwrap_or_default())
}
