//! What members of a classic group tell each other, as Java's consumers write it.

use std::collections::BTreeMap;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::consumer_protocol_assignment::TopicPartition as Assigned;
use kafka_protocol::messages::{ConsumerProtocolAssignment, ConsumerProtocolSubscription};
use kafka_protocol::protocol::{Decodable, Encodable};
use stockade_change_feed::{Topic, TopicPartition};

use crate::error::KafkaError;
use crate::offsets::{at, number, topic_of};
use crate::wire::{text, topic_name};

/// Old enough for every member.
const WRITTEN: i16 = 1;
/// A newer version begins as this one does.
const READ: i16 = 3;

/// Which topics a member reads.
pub(super) fn write_subscription(topics: &[Topic]) -> Result<Bytes, KafkaError> {
    let topics = topics.iter().map(|topic| text(topic.as_str())).collect();
    let subscription = ConsumerProtocolSubscription::default().with_topics(topics);
    write(&subscription)
}

pub(super) fn read_subscription(bytes: Bytes) -> Result<Vec<Topic>, KafkaError> {
    let subscription: ConsumerProtocolSubscription = read("subscription of a member", bytes)?;
    let topics = subscription.topics.iter();
    topics.map(|topic| topic_of(topic.as_str())).collect()
}

/// Which partitions a member is to read.
pub(super) fn write_assignment(partitions: &[TopicPartition]) -> Result<Bytes, KafkaError> {
    let mut topics: BTreeMap<&Topic, Vec<i32>> = BTreeMap::new();
    for at in partitions {
        topics.entry(&at.topic).or_default().push(number(at));
    }
    let topics = topics.into_iter().map(|(topic, partitions)| {
        Assigned::default()
            .with_topic(topic_name(topic))
            .with_partitions(partitions)
    });
    write(&ConsumerProtocolAssignment::default().with_assigned_partitions(topics.collect()))
}

pub(super) fn read_assignment(bytes: Bytes) -> Result<Vec<TopicPartition>, KafkaError> {
    // A member for which there is nothing may get nothing.
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let assignment: ConsumerProtocolAssignment = read("assignment", bytes)?;
    let mut partitions = Vec::new();
    for assigned in assignment.assigned_partitions {
        let topic = topic_of(assigned.topic.as_str())?;
        for number in assigned.partitions {
            partitions.push(at(&topic, number)?);
        }
    }
    Ok(partitions)
}

fn write(message: &impl Encodable) -> Result<Bytes, KafkaError> {
    let mut bytes = BytesMut::new();
    bytes.put_i16(WRITTEN);
    let written = message.encode(&mut bytes, WRITTEN);
    written.map_err(|error| KafkaError::malformed("message to a group", error.to_string()))?;
    Ok(bytes.freeze())
}

fn read<T: Decodable>(what: &str, mut bytes: Bytes) -> Result<T, KafkaError> {
    let version = bytes.try_get_i16();
    let version = version.map_err(|error| KafkaError::malformed(what, error.to_string()))?;
    let read = T::decode(&mut bytes, version.clamp(0, READ));
    read.map_err(|error| KafkaError::malformed(what, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topics(names: &[&str]) -> Vec<Topic> {
        names.iter().map(|name| Topic::new(name).unwrap()).collect()
    }

    #[test]
    fn a_subscription_comes_back() {
        let topics = topics(&["t", "u"]);
        let written = write_subscription(&topics).unwrap();
        assert_eq!(read_subscription(written).unwrap(), topics);
    }

    #[test]
    fn an_assignment_comes_back() {
        let topic = topics(&["t"]).remove(0);
        let partitions: Vec<_> = (0..3)
            .map(|n| TopicPartition::new(topic.clone(), n))
            .collect();
        let written = write_assignment(&partitions).unwrap();
        assert_eq!(read_assignment(written).unwrap(), partitions);
        assert_eq!(read_assignment(Bytes::new()).unwrap(), []);
    }

    #[test]
    fn what_java_writes_can_be_read() {
        // Version 3: topics, no user data, nothing owned, generation and rack.
        let mut java = BytesMut::new();
        java.put_i16(3);
        java.put_i32(1);
        java.put_i16(1);
        java.put_slice(b"t");
        java.put_i32(-1);
        java.put_i32(0);
        java.put_i32(7);
        java.put_i16(-1);
        assert_eq!(read_subscription(java.freeze()).unwrap(), topics(&["t"]));
    }

    #[test]
    fn what_is_cut_off_is_an_error() {
        let written = write_subscription(&topics(&["t"])).unwrap();
        for length in 0..written.len() {
            let cut = written.slice(..length);
            let error = read_subscription(cut).unwrap_err();
            assert!(error.to_string().contains("subscription"), "{error}");
        }
    }
}
