//! Requests as they are, for what the crate itself never does: transactions, and commits as anybody.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::create_partitions_request::CreatePartitionsTopic;
use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequestGroup;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{
    Decodable, Encodable, HeaderVersion, StrBytes, encode_request_header_into_buffer,
};
use kafka_protocol::records::{
    Compression, Record, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};
use stockade_change_feed::{Topic, TopicPartition};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A connection to a broker in plain text.
pub(crate) struct Raw(TcpStream);

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

impl Raw {
    /// To the first of these brokers.
    pub(crate) async fn connect(bootstrap: &str) -> Self {
        let first = bootstrap.split(',').next().unwrap();
        Self(TcpStream::connect(first).await.unwrap())
    }

    /// To one of these brokers that listens.
    async fn any(bootstrap: &str) -> Self {
        for address in bootstrap.split(',') {
            if let Ok(stream) = TcpStream::connect(address).await {
                return Self(stream);
            }
        }
        panic!("none of {bootstrap} listens");
    }

    /// To the broker that coordinates a group.
    pub(crate) async fn coordinator(bootstrap: &str, group: &str) -> Self {
        Self::of_key(bootstrap, group, 0).await
    }

    async fn of_key(bootstrap: &str, key: &str, kind: i8) -> Self {
        let mut any = Self::connect(bootstrap).await;
        for _ in 0..100 {
            let request = FindCoordinatorRequest::default()
                .with_key_type(kind)
                .with_coordinator_keys(vec![text(key)]);
            let answer: FindCoordinatorResponse =
                any.call(ApiKey::FindCoordinator, 4, &request).await;
            let found = &answer.coordinators[0];
            if found.error_code == 0 {
                return Self::connect(&format!("{}:{}", found.host.as_str(), found.port)).await;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        panic!("nobody coordinates {key}");
    }

    pub(crate) async fn call<Q, A>(&mut self, api: ApiKey, version: i16, request: &Q) -> A
    where
        Q: Encodable + HeaderVersion,
        A: Decodable + HeaderVersion,
    {
        let header = RequestHeader::default()
            .with_request_api_key(api as i16)
            .with_request_api_version(version)
            .with_client_id(Some(text("test")));
        let mut frame = BytesMut::new();
        frame.put_i32(0);
        encode_request_header_into_buffer(&mut frame, &header).unwrap();
        request.encode(&mut frame, version).unwrap();
        let length = i32::try_from(frame.len() - 4).unwrap();
        frame[..4].copy_from_slice(&length.to_be_bytes());
        self.0.write_all(&frame).await.unwrap();
        let length = self.0.read_u32().await.unwrap();
        let mut answer = vec![0; length as usize];
        self.0.read_exact(&mut answer).await.unwrap();
        let mut answer = Bytes::from(answer);
        ResponseHeader::decode(&mut answer, A::header_version(version)).unwrap();
        let decoded = A::decode(&mut answer, version).unwrap();
        assert!(!answer.has_remaining());
        decoded
    }
}

/// The copies of a partition, by the ids of their brokers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Copies {
    pub(crate) leader: i32,
    pub(crate) replicas: Vec<i32>,
    pub(crate) in_sync: Vec<i32>,
}

/// The copies of a topic's partitions, or of all that there are.
pub(crate) async fn copies(bootstrap: &str, topic: Option<&Topic>) -> Vec<Copies> {
    let named = |topic: &Topic| {
        vec![MetadataRequestTopic::default().with_name(Some(text(topic.as_str()).into()))]
    };
    let request = MetadataRequest::default()
        .with_topics(topic.map(named))
        .with_allow_auto_topic_creation(false);
    let mut broker = Raw::any(bootstrap).await;
    let answer: MetadataResponse = broker.call(ApiKey::Metadata, 12, &request).await;
    let ids = |ids: &[BrokerId]| ids.iter().map(|id| id.0).collect();
    let partitions = answer.topics.iter().flat_map(|topic| &topic.partitions);
    partitions
        .map(|partition| Copies {
            leader: partition.leader_id.0,
            replicas: ids(&partition.replica_nodes),
            in_sync: ids(&partition.isr_nodes),
        })
        .collect()
}

/// Creates a topic of one partition on these brokers, of which any may become the leader.
pub(crate) async fn create_on(bootstrap: &str, topic: &Topic, brokers: &[i32]) {
    let assignment = CreatableReplicaAssignment::default()
        .with_partition_index(0)
        .with_broker_ids(brokers.iter().map(|&id| BrokerId(id)).collect());
    let unclean = CreatableTopicConfig::default()
        .with_name(text("unclean.leader.election.enable"))
        .with_value(Some(text("true")));
    let wanted = CreatableTopic::default()
        .with_name(text(topic.as_str()).into())
        .with_num_partitions(-1)
        .with_replication_factor(-1)
        .with_assignments(vec![assignment])
        .with_configs(vec![unclean]);
    let request = CreateTopicsRequest::default()
        .with_topics(vec![wanted])
        .with_timeout_ms(30_000);
    let mut broker = Raw::any(bootstrap).await;
    let answer: CreateTopicsResponse = broker.call(ApiKey::CreateTopics, 5, &request).await;
    assert_eq!(answer.topics[0].error_code, 0, "CreateTopics");
    known(bootstrap, topic, 1).await;
}

/// Waits until each broker knows that many partitions of a topic, and who leads them.
async fn known(bootstrap: &str, topic: &Topic, partitions: usize) {
    for broker in bootstrap.split(',') {
        for attempt in 0.. {
            let copies = copies(broker, Some(topic)).await;
            if copies.len() == partitions && copies.iter().all(|copies| copies.leader >= 0) {
                break;
            }
            assert!(attempt < 600, "{broker} does not know {topic}: {copies:?}");
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    }
}

/// Adds partitions to a topic, until it has so many.
pub(crate) async fn grow(bootstrap: &str, topic: &Topic, partitions: i32) {
    let wanted = CreatePartitionsTopic::default()
        .with_name(text(topic.as_str()).into())
        .with_count(partitions)
        .with_assignments(None);
    let request = CreatePartitionsRequest::default()
        .with_topics(vec![wanted])
        .with_timeout_ms(30_000);
    let mut broker = Raw::any(bootstrap).await;
    let answer: CreatePartitionsResponse = broker.call(ApiKey::CreatePartitions, 2, &request).await;
    assert_eq!(answer.results[0].error_code, 0, "CreatePartitions");
    known(bootstrap, topic, partitions as usize).await;
}

/// What is committed for a partition, as Kafka keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Committed {
    pub(crate) at: TopicPartition,
    pub(crate) next: i64,
    pub(crate) metadata: String,
}

/// All that a group has committed.
pub(crate) async fn committed(bootstrap: &str, group: &str) -> Vec<Committed> {
    let mut broker = Raw::coordinator(bootstrap, group).await;
    let group = OffsetFetchRequestGroup::default()
        .with_group_id(text(group).into())
        .with_topics(None);
    let request = OffsetFetchRequest::default().with_groups(vec![group]);
    let answer: OffsetFetchResponse = broker.call(ApiKey::OffsetFetch, 8, &request).await;
    let mut found = Vec::new();
    for topic in &answer.groups[0].topics {
        let name = Topic::new(topic.name.as_str()).unwrap();
        for partition in &topic.partitions {
            let number = u32::try_from(partition.partition_index).unwrap();
            found.push(Committed {
                at: TopicPartition::new(name.clone(), number),
                next: partition.committed_offset,
                metadata: partition.metadata.as_deref().unwrap_or_default().to_owned(),
            });
        }
    }
    found
}

/// Commits as nobody, which a group without members takes. Returns the error code.
pub(crate) async fn commit(bootstrap: &str, group: &str, committed: &Committed) -> i16 {
    let mut broker = Raw::coordinator(bootstrap, group).await;
    let partition = OffsetCommitRequestPartition::default()
        .with_partition_index(i32::try_from(committed.at.partition).unwrap())
        .with_committed_offset(committed.next)
        .with_committed_metadata(Some(text(&committed.metadata)));
    let topic = OffsetCommitRequestTopic::default()
        .with_name(text(committed.at.topic.as_str()).into())
        .with_partitions(vec![partition]);
    let request = OffsetCommitRequest::default()
        .with_group_id(text(group).into())
        .with_generation_id_or_member_epoch(-1)
        .with_topics(vec![topic]);
    let answer: OffsetCommitResponse = broker.call(ApiKey::OffsetCommit, 8, &request).await;
    answer.topics[0].partitions[0].error_code
}

/// How a transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Committed,
    Aborted,
}

/// Writes records in a transaction, and ends it.
pub(crate) async fn transaction(bootstrap: &str, at: &TopicPartition, values: &[&str], end: End) {
    begin(bootstrap, at, values).await.end(end).await;
}

/// A transaction that is open.
pub(crate) struct Transaction {
    id: String,
    coordinator: Raw,
    producer: ProducerId,
    epoch: i16,
}

impl Transaction {
    pub(crate) async fn end(mut self, end: End) {
        let request = EndTxnRequest::default()
            .with_transactional_id(text(&self.id).into())
            .with_producer_id(self.producer)
            .with_producer_epoch(self.epoch)
            .with_committed(end == End::Committed);
        for _ in 0..100 {
            let answer: EndTxnResponse = self.coordinator.call(ApiKey::EndTxn, 3, &request).await;
            match answer.error_code {
                0 => return,
                // The one before is not over yet.
                51 => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
                code => panic!("EndTxn: {code}"),
            }
        }
        panic!("a transaction does not end");
    }
}

/// Writes records in a transaction that stays open. On one broker, which leads and coordinates all.
pub(crate) async fn begin(bootstrap: &str, at: &TopicPartition, values: &[&str]) -> Transaction {
    let id = super::harness::unique("transaction");
    let mut coordinator = Raw::of_key(bootstrap, &id, 1).await;
    let request = InitProducerIdRequest::default()
        .with_transactional_id(Some(text(&id).into()))
        .with_transaction_timeout_ms(60_000);
    let (producer, epoch) = loop {
        let answer: InitProducerIdResponse =
            coordinator.call(ApiKey::InitProducerId, 4, &request).await;
        match answer.error_code {
            0 => break (answer.producer_id, answer.producer_epoch),
            code if passes(code) => tokio::time::sleep(SOON).await,
            code => panic!("InitProducerId: {code}"),
        }
    };
    let name = TopicName(text(at.topic.as_str()));
    let number = i32::try_from(at.partition).unwrap();
    let topic = AddPartitionsToTxnTopic::default()
        .with_name(name.clone())
        .with_partitions(vec![number]);
    let request = AddPartitionsToTxnRequest::default()
        .with_v3_and_below_transactional_id(text(&id).into())
        .with_v3_and_below_producer_id(producer)
        .with_v3_and_below_producer_epoch(epoch)
        .with_v3_and_below_topics(vec![topic]);
    loop {
        let answer: AddPartitionsToTxnResponse = coordinator
            .call(ApiKey::AddPartitionsToTxn, 3, &request)
            .await;
        let partitions = &answer.results_by_topic_v3_and_below[0].results_by_partition;
        match partitions[0].partition_error_code {
            0 => break,
            code if passes(code) => tokio::time::sleep(SOON).await,
            code => panic!("AddPartitionsToTxn: {code}"),
        }
    }

    let records: Vec<Record> = (0..)
        .zip(values)
        .map(|(place, value)| Record {
            transactional: true,
            control: false,
            delete_horizon: false,
            partition_leader_epoch: -1,
            producer_id: producer.0,
            producer_epoch: epoch,
            timestamp_type: TimestampType::Creation,
            offset: i64::from(place),
            sequence: place,
            timestamp: chrono::Utc::now().timestamp_millis(),
            key: None,
            value: Some(Bytes::copy_from_slice(value.as_bytes())),
            headers: Default::default(),
        })
        .collect();
    produce(bootstrap, at, &records, Some(&id)).await;
    Transaction {
        id,
        coordinator,
        producer,
        epoch,
    }
}

/// Writes records as they are. To one broker, which leads all.
pub(crate) async fn produce(
    bootstrap: &str,
    at: &TopicPartition,
    records: &[Record],
    transaction: Option<&str>,
) {
    let mut batch = BytesMut::new();
    let options = RecordEncodeOptions {
        version: 2,
        compression: Compression::None,
    };
    RecordBatchEncoder::encode(&mut batch, records, &options).unwrap();
    let partition = PartitionProduceData::default()
        .with_index(i32::try_from(at.partition).unwrap())
        .with_records(Some(batch.freeze()));
    let topic = TopicProduceData::default()
        .with_name(text(at.topic.as_str()).into())
        .with_partition_data(vec![partition]);
    let request = ProduceRequest::default()
        .with_transactional_id(transaction.map(|id| text(id).into()))
        .with_acks(-1)
        .with_timeout_ms(10_000)
        .with_topic_data(vec![topic]);
    let mut leader = Raw::connect(bootstrap).await;
    loop {
        let answer: ProduceResponse = leader.call(ApiKey::Produce, 8, &request).await;
        match answer.responses[0].partition_responses[0].error_code {
            0 => return,
            code if passes(code) => tokio::time::sleep(SOON).await,
            code => panic!("Produce: {code}"),
        }
    }
}

const SOON: std::time::Duration = std::time::Duration::from_millis(50);

/// Whether an error ends by itself: the topic was just created, the coordinator is not ready, or
/// the transaction before is not over.
fn passes(code: i16) -> bool {
    matches!(code, 3 | 6 | 14..=16 | 51)
}
