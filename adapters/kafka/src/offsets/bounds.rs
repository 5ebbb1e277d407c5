//! Where the log of a partition begins and ends, and what it has of a time.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::try_join_all;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::ListOffsetsRequest;
use kafka_protocol::messages::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use stockade_change_feed::{Timestamp, Topic, TopicPartition};

use super::{at, number, topic_of};
use crate::cluster::{KafkaClient, To, Topics};
use crate::error::KafkaError;
use crate::wire::{Request, topic_name};

const API: &str = ListOffsetsRequest::NAME;

/// Which offset of a partition is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// The oldest record.
    First,
    /// After the newest record of which it is known whether its transaction is committed.
    Stable,
    /// After the newest record.
    End,
    /// The first record of that time or later.
    Since(Timestamp),
}

/// An offset, and the epoch of the leader under which its record was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bound {
    pub(crate) offset: i64,
    pub(crate) epoch: i32,
}

/// Asks the leaders. Nothing is found where no record is of that time or later.
pub(crate) async fn find(
    client: &KafkaClient,
    topics: &Topics,
    partitions: &[TopicPartition],
    place: Place,
) -> Result<BTreeMap<TopicPartition, Bound>, KafkaError> {
    let mut leaders: BTreeMap<i32, Vec<(&TopicPartition, i32)>> = BTreeMap::new();
    for at in partitions {
        let info = topics
            .get(&at.topic)
            .and_then(|info| info.partition(at.partition));
        let code = |error: ResponseError| KafkaError::refused(API, error.code());
        let info = info.ok_or_else(|| code(ResponseError::UnknownTopicOrPartition))?;
        if info.leader < 0 {
            return Err(code(ResponseError::LeaderNotAvailable));
        }
        leaders
            .entry(info.leader)
            .or_default()
            .push((at, info.epoch));
    }
    let asked = leaders.iter();
    let asked = asked.map(|(leader, partitions)| ask(client, *leader, partitions, place));
    let found = try_join_all(asked).await?;
    Ok(found.into_iter().flatten().collect())
}

async fn ask(
    client: &KafkaClient,
    leader: i32,
    partitions: &[(&TopicPartition, i32)],
    place: Place,
) -> Result<Vec<(TopicPartition, Bound)>, KafkaError> {
    let (time, committed_only) = match place {
        Place::First => (-2, false),
        Place::Stable => (-1, true),
        Place::End => (-1, false),
        Place::Since(time) => (time.as_millis().max(0), false),
    };
    let mut topics: BTreeMap<&Topic, Vec<ListOffsetsPartition>> = BTreeMap::new();
    for (at, epoch) in partitions {
        let partition = ListOffsetsPartition::default()
            .with_partition_index(number(at))
            .with_current_leader_epoch(*epoch)
            .with_timestamp(time);
        topics.entry(&at.topic).or_default().push(partition);
    }
    let topics = topics.into_iter().map(|(topic, partitions)| {
        ListOffsetsTopic::default()
            .with_name(topic_name(topic))
            .with_partitions(partitions)
    });
    let request = ListOffsetsRequest::default()
        .with_replica_id((-1).into())
        .with_isolation_level(i8::from(committed_only))
        .with_topics(topics.collect());
    let answer = client
        .ask(To::Node(leader), Duration::ZERO, |_| request)
        .await?;
    let mut found = Vec::new();
    for topic in answer.topics {
        let name = topic_of(topic.name.as_str())?;
        for partition in topic.partitions {
            let at = at(&name, partition.partition_index)?;
            if partition.error_code != 0 {
                return Err(KafkaError::Refused {
                    api: API,
                    code: partition.error_code,
                    message: Some(at.to_string()),
                });
            }
            if partition.offset >= 0 {
                let (offset, epoch) = (partition.offset, partition.leader_epoch);
                found.push((at, Bound { offset, epoch }));
            }
        }
    }
    Ok(found)
}
