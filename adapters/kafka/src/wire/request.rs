//! Which requests there are, and in which versions this client knows them.

use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, StrBytes};
use stockade_change_feed::Topic;

/// A request, and the answer to it.
///
/// The codec has a trait like it, only together with the half of it that is a broker's.
pub(crate) trait Request: Encodable + HeaderVersion + Sync {
    /// Kafka's number of it.
    const KEY: i16;
    /// Kafka's name of it.
    const NAME: &'static str;
    /// The oldest version that it is written for.
    const OLDEST: i16;
    /// The newest version that it is written for.
    const NEWEST: i16;
    /// What is answered.
    type Response: Decodable + HeaderVersion;
}

macro_rules! requests {
    ($($api:ident $oldest:literal..=$newest:literal: $request:ident -> $response:ident,)*) => {
        $(impl Request for $request {
            const KEY: i16 = ApiKey::$api as i16;
            const NAME: &'static str = stringify!($api);
            const OLDEST: i16 = $oldest;
            const NEWEST: i16 = $newest;
            type Response = $response;
        })*
    };
}

// Brokers from Kafka 2.8 on have the oldest ones.
requests! {
    ApiVersions 3..=3: ApiVersionsRequest -> ApiVersionsResponse,
    ConsumerGroupDescribe 0..=1: ConsumerGroupDescribeRequest -> ConsumerGroupDescribeResponse,
    // 0 and its ids given by the broker were a preview.
    ConsumerGroupHeartbeat 1..=1: ConsumerGroupHeartbeatRequest -> ConsumerGroupHeartbeatResponse,
    CreateTopics 4..=7: CreateTopicsRequest -> CreateTopicsResponse,
    DescribeConfigs 2..=4: DescribeConfigsRequest -> DescribeConfigsResponse,
    DescribeGroups 3..=5: DescribeGroupsRequest -> DescribeGroupsResponse,
    // From 13 on topics go by id.
    Fetch 11..=17: FetchRequest -> FetchResponse,
    // From 4 on several groups are asked for at once.
    FindCoordinator 2..=6: FindCoordinatorRequest -> FindCoordinatorResponse,
    Heartbeat 3..=4: HeartbeatRequest -> HeartbeatResponse,
    InitProducerId 1..=5: InitProducerIdRequest -> InitProducerIdResponse,
    JoinGroup 5..=9: JoinGroupRequest -> JoinGroupResponse,
    LeaveGroup 3..=5: LeaveGroupRequest -> LeaveGroupResponse,
    ListOffsets 4..=9: ListOffsetsRequest -> ListOffsetsResponse,
    // From 10 on topics have ids.
    Metadata 7..=12: MetadataRequest -> MetadataResponse,
    OffsetCommit 7..=9: OffsetCommitRequest -> OffsetCommitResponse,
    // From 8 on several groups are asked for at once.
    OffsetFetch 7..=9: OffsetFetchRequest -> OffsetFetchResponse,
    Produce 7..=12: ProduceRequest -> ProduceResponse,
    SaslAuthenticate 0..=2: SaslAuthenticateRequest -> SaslAuthenticateResponse,
    SaslHandshake 1..=1: SaslHandshakeRequest -> SaslHandshakeResponse,
    SyncGroup 3..=5: SyncGroupRequest -> SyncGroupResponse,
}

/// Text as the codec takes it.
pub(crate) fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// A topic's name as the codec takes it.
pub(crate) fn topic_name(topic: &Topic) -> TopicName {
    text(topic.as_str()).into()
}
