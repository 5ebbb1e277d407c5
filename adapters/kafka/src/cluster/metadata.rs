//! Which brokers and topics there are, and who leads each partition.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::metadata_response::{MetadataResponse, MetadataResponseTopic};
use kafka_protocol::messages::{FindCoordinatorRequest, MetadataRequest};
use stockade_change_feed::{Group, Topic};
use uuid::Uuid;

use super::{KafkaClient, To};
use crate::config::Address;
use crate::error::{KafkaError, check};
use crate::wire::{Request, text, topic_name};

/// The topics that there are, of those asked for.
pub(crate) type Topics = BTreeMap<Topic, TopicInfo>;

/// A topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TopicInfo {
    /// Another one for each topic ever, also of the same name; nil where the brokers have none.
    pub(crate) id: Uuid,
    /// By their numbers, which have no gaps.
    pub(crate) partitions: Vec<PartitionInfo>,
    /// Copies of the partition that has fewest.
    pub(crate) replicas: usize,
}

/// Who leads a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PartitionInfo {
    /// None for now, where it is negative.
    pub(crate) leader: i32,
    /// Rises with each leader.
    pub(crate) epoch: i32,
}

impl TopicInfo {
    /// A partition, if there is one of that number.
    pub(crate) fn partition(&self, number: u32) -> Option<PartitionInfo> {
        self.partitions.get(usize::try_from(number).ok()?).copied()
    }

    /// How many partitions there are.
    pub(crate) fn count(&self) -> u32 {
        u32::try_from(self.partitions.len()).unwrap_or(u32::MAX)
    }
}

impl KafkaClient {
    /// Asks for topics, and learns which brokers there are.
    pub(crate) async fn topics(&self, topics: &[Topic]) -> Result<Topics, KafkaError> {
        self.topics_of(To::Any, topics).await
    }

    /// Checks that each broker that answers knows a topic. What was just created, not all know.
    pub(crate) async fn is_known(&self, topic: &Topic) -> Result<(), KafkaError> {
        let nodes: Vec<i32> = self.lock().brokers.keys().copied().collect();
        let asked = nodes.into_iter().map(async |node| {
            let found = self
                .topics_of(To::Node(node), std::slice::from_ref(topic))
                .await;
            found.is_ok_and(|found| !found.contains_key(topic))
        });
        if join_all(asked).await.contains(&true) {
            let code = ResponseError::UnknownTopicOrPartition.code();
            return Err(KafkaError::refused(MetadataRequest::NAME, code));
        }
        Ok(())
    }

    async fn topics_of(&self, to: To, topics: &[Topic]) -> Result<Topics, KafkaError> {
        let named = topics.iter();
        let named = named
            .map(|topic| MetadataRequestTopic::default().with_name(Some(topic_name(topic))))
            .collect();
        let request = MetadataRequest::default()
            .with_topics(Some(named))
            .with_allow_auto_topic_creation(false);
        let answer = self.ask(to, Duration::ZERO, |_| request).await?;
        self.learn(brokers(&answer)?);
        let mut found = Topics::new();
        for topic in answer.topics {
            if let Some((topic, info)) = read(topic)? {
                found.insert(topic, info);
            }
        }
        Ok(found)
    }

    /// The broker that creates topics, or knows who does.
    pub(crate) async fn controller(&self) -> Result<To, KafkaError> {
        let request = MetadataRequest::default().with_topics(Some(Vec::new()));
        let answer = self.ask(To::Any, Duration::ZERO, |_| request).await?;
        self.learn(brokers(&answer)?);
        match answer.controller_id.0 {
            node @ 0.. => Ok(To::Node(node)),
            _ => Ok(To::Any),
        }
    }

    /// The broker that coordinates a group, as far as is known.
    pub(crate) async fn coordinator(&self, group: &Group) -> Result<To, KafkaError> {
        const API: &str = FindCoordinatorRequest::NAME;
        if let Some(node) = self.lock().coordinators.get(group) {
            return Ok(To::Node(*node));
        }
        let build = |version| {
            let request = FindCoordinatorRequest::default();
            match version {
                ..=3 => request.with_key(text(group.as_str())),
                _ => request.with_coordinator_keys(vec![text(group.as_str())]),
            }
        };
        let answer = self.ask(To::Any, Duration::ZERO, build).await?;
        let (code, node, host, port) = match answer.coordinators.first() {
            Some(found) => (found.error_code, found.node_id, &found.host, found.port),
            None => (answer.error_code, answer.node_id, &answer.host, answer.port),
        };
        check(API, code)?;
        let address = address(host.as_str(), port)?;
        let mut state = self.lock();
        state.brokers.insert(node.0, address);
        state.coordinators.insert(group.clone(), node.0);
        Ok(To::Node(node.0))
    }

    /// Has the coordinator of a group looked up again: after an error it may be another broker.
    pub(crate) fn forget_coordinator(&self, group: &Group) {
        self.lock().coordinators.remove(group);
    }
}

fn brokers(answer: &MetadataResponse) -> Result<BTreeMap<i32, Address>, KafkaError> {
    let brokers = answer.brokers.iter();
    brokers
        .map(|broker| {
            Ok((
                broker.node_id.0,
                address(broker.host.as_str(), broker.port)?,
            ))
        })
        .collect()
}

fn address(host: &str, port: i32) -> Result<Address, KafkaError> {
    let port = u16::try_from(port)
        .map_err(|_| KafkaError::malformed("address of a broker", format!("port {port}")))?;
    let host = host.to_owned();
    Ok(Address { host, port })
}

/// None for a topic that does not exist.
fn read(topic: MetadataResponseTopic) -> Result<Option<(Topic, TopicInfo)>, KafkaError> {
    const API: &str = MetadataRequest::NAME;
    let name = topic.name.unwrap_or_default();
    match ResponseError::try_from_code(topic.error_code) {
        None => {}
        Some(ResponseError::UnknownTopicOrPartition | ResponseError::UnknownTopicId) => {
            return Ok(None);
        }
        Some(error) => {
            return Err(KafkaError::Refused {
                api: API,
                code: error.code(),
                message: Some(format!("topic {}", name.as_str())),
            });
        }
    }
    let named = Topic::new(name.as_str());
    let named =
        named.map_err(|error| KafkaError::malformed("name of a topic", error.to_string()))?;
    let mut partitions = topic.partitions;
    partitions.sort_by_key(|partition| partition.partition_index);
    let copies = partitions
        .iter()
        .map(|partition| partition.replica_nodes.len());
    let replicas = copies.min().unwrap_or_default();
    let partitions = partitions
        .iter()
        .map(|partition| PartitionInfo {
            leader: partition.leader_id.0,
            epoch: partition.leader_epoch,
        })
        .collect();
    let id = topic.topic_id;
    Ok(Some((
        named,
        TopicInfo {
            id,
            partitions,
            replicas,
        },
    )))
}
